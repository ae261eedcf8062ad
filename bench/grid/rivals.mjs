/** Libraries that run everything in the page: one figure for each device and work, for the link is nothing to them. */

/** Counted runs; one before them compiles and allocates. */
const RUNS = 3;

/** @returns {Promise<{ measure: Function, close: () => Promise<void> }>} */
export async function openRivals(world) {
  const known = new Map();
  return {
    /** @returns {Promise<Record<string, readonly object[]>>} runs by name */
    measure: async ({ device: name, work, cache, load }, task, device) => {
      // Their state is the same in each; on a first visit they fetch for minutes, which `--suite first` measures.
      if (cache !== 'warm' || load !== 'idle') return {};
      const key = `${name}, ${work}`;
      if (!known.has(key)) known.set(key, await measureAll(world, task, device));
      return known.get(key);
    },
    close: async () => undefined,
  };
}

async function measureAll(world, task, device) {
  if (task.recording === undefined) return {};
  return { onnxruntimeWeb: await measureDirect(world, task.recording, device) };
}

/** The same ONNX files in onnxruntime-web without any library of ours; they come beside the line. */
async function measureDirect(world, recording, device) {
  const { bosToken, eosToken } = world.model.generation;
  const page = await device.openPage(world.endpoint.url, [recording]);
  try {
    await page.evaluate(
      async (open) => {
        const url = (path) => new URL(path, document.baseURI).href;
        await bench.openDirect({
          ...open,
          encoderUrl: url('original/encoder.onnx'),
          decoderUrl: url('original/decoder.onnx'),
        });
      },
      { threads: device.threads, bosToken, eosToken },
    );
    const maxTokens = Math.ceil(recording.seconds * world.model.audio.maxTokensPerSecond);
    const runs = [];
    for (let round = -1; round < RUNS; round += 1) {
      const { ms } = await page.evaluate(
        ([name, most]) => bench.runDirect(name, most),
        [recording.name, maxTokens],
      );
      if (round >= 0) runs.push({ totalMs: ms });
    }
    return runs;
  } finally {
    await page.context().close();
  }
}
