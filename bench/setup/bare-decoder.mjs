/**
 * A package's graph before any cut, in onnxruntime-node alone: the package holds it as one file with its
 * weights beside it. Decoded greedily as the runtime's own examples do it: state out, state in.
 */
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';

/** Room behind the text that the graph's attention asks for. */
const SPARE_ROWS = 1;

/** What a loop's inputs say of its rows, as the manifest names them. */
const FEEDS = {
  last: (known, rows) => new Tensor('int32', Int32Array.of(known + rows - 1), [1]),
  total: (known, rows) => new Tensor('int32', Int32Array.of(known + rows), []),
  picked: (_, rows) => new Tensor('int64', BigInt64Array.of(BigInt(rows - 1)), [1]),
};

/** @param {string} folder of a package with one loop */
export async function openBare(folder, manifest) {
  const [stage] = manifest.stages;
  const session = await InferenceSession.create(join(folder, stage.graphs.step), { intraOpNumThreads: 1 });
  const { states, tokenInput, logits, vocabulary, feeds } = stage;

  /** @returns {Promise<number>} ms a token, behind the first */
  const decode = async (prompt, count) => {
    const capacity = prompt.length + count + SPARE_ROWS;
    const empty = ({ dims }) => {
      const shape = dims.map((extent) => extent ?? capacity);
      return new Tensor(
        'float32',
        new Float32Array(shape.reduce((product, extent) => product * extent)),
        shape,
      );
    };
    let state = states.map(empty);
    let input = prompt;
    let known = 0;
    let firstAt = 0;
    for (let made = 0; made < count; made += 1) {
      const fed = {
        [tokenInput.name]: new Tensor('int64', BigInt64Array.from(input, BigInt), [1, input.length]),
      };
      for (const { input: name, kind } of feeds) fed[name] = FEEDS[kind](known, input.length);
      for (const [index, { input: name }] of states.entries()) fed[name] = state[index];
      const out = await session.run(fed);
      state = states.map(({ output }) => out[output]);
      known += input.length;
      input = [best(out[logits].data.subarray(0, vocabulary))];
      if (made === 0) firstAt = performance.now();
    }
    return (performance.now() - firstAt) / (count - 1);
  };
  return { decode, close: () => session.release() };
}

function best(scores) {
  let at = 0;
  for (let index = 1; index < scores.length; index += 1) if (scores[index] > scores[at]) at = index;
  return at;
}
