/**
 * A cloud app without a model in the page: `POST /pcm16` takes 16-bit samples and has the endpoint transcribe them.
 * `POST /opus` takes Opus, which Node cannot decode: the bytes must come, and then the recording of that name is used,
 * of which the app has a copy. So what is measured lacks the decoder's time, a millisecond or two, to its advantage.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { inferOnce, inputOf } from './one-shot.mjs';

/** A minute of 16-bit PCM at 16 kHz. */
const MAX_BODY_BYTES = 2 * 16_000 * 60;

/** The page is isolated, and this is another origin. */
const HEADERS = {
  'Access-Control-Allow-Origin': '*',
  'Cross-Origin-Resource-Policy': 'cross-origin',
  'Content-Type': 'application/json',
};

/**
 * @param {{ url: string, model: { name: string, audio: { sampleRate: number, maxTokensPerSecond: number } },
 *   recordings: readonly { name: string, samples: Float32Array }[] }} world
 * @returns {Promise<{ port: number, close: () => Promise<void> }>}
 */
export async function startCloudApp({ url, model, recordings }) {
  const name = await inputOf(url, model.name);
  const copies = new Map(recordings.map((recording) => [recording.name, recording.samples]));
  const transcribe = (samples) =>
    inferOnce(url, model.name, {
      input: { name, shape: [1, samples.length], floats: samples },
      maxTokens: maxTokensOf(model, samples),
    });
  const server = createServer(async (request, response) => {
    try {
      const { pathname, searchParams } = new URL(request.url, 'http://app');
      const body = await read(request);
      const samples = pathname === '/pcm16' ? fromPcm16(body) : copies.get(searchParams.get('name'));
      if (samples === undefined) throw new Error('no such recording');
      response.writeHead(200, HEADERS).end(JSON.stringify(await transcribe(samples)));
    } catch (error) {
      response.writeHead(500, HEADERS).end(JSON.stringify({ error: error.message }));
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: server.address().port,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** As many as speech of that length can have. */
export const maxTokensOf = ({ audio }, samples) =>
  Math.max(1, Math.ceil((samples.length / audio.sampleRate) * audio.maxTokensPerSecond));

async function read(request) {
  const chunks = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) throw new Error(`more than ${MAX_BODY_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function fromPcm16(body) {
  const samples = new Float32Array(Math.floor(body.length / 2));
  for (let index = 0; index < samples.length; index += 1)
    samples[index] = body.readInt16LE(2 * index) / 32_767;
  return samples;
}
