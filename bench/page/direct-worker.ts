/**
 * The rival: the original, unsplit ONNX files in onnxruntime-web, run the way its documentation shows.
 * Session options are the runtime's defaults; all that is set is the number of threads.
 */
import { env, InferenceSession, Tensor } from 'onnxruntime-web/wasm';
import type { DirectOpen, DirectReply, DirectRequest, DirectResult } from './direct-messages.ts';

interface Model {
  readonly encoder: InferenceSession;
  readonly decoder: InferenceSession;
  readonly open: DirectOpen;
}

let model: Model | undefined;

async function openModel(open: DirectOpen): Promise<number> {
  const threads = globalThis.crossOriginIsolated ? open.threads : 1;
  env.wasm.numThreads = threads;
  env.logLevel = 'error';
  const options: InferenceSession.SessionOptions = { executionProviders: ['wasm'] };
  const encoder = await InferenceSession.create(open.encoderUrl, options);
  const decoder = await InferenceSession.create(open.decoderUrl, options);
  model = { encoder, decoder, open };
  return threads;
}

async function run(samples: Float32Array, maxTokens: number): Promise<DirectResult> {
  if (model === undefined) throw new Error('open the model first');
  const { encoder, decoder, open } = model;
  const started = performance.now();
  const audio = new Tensor('float32', samples, [1, samples.length]);
  const encoded = await encoder.run({ [first(encoder.inputNames)]: audio });
  const encoderMs = performance.now() - started;
  const states = present(encoded[first(encoder.outputNames)]);
  const past = emptyPast(decoder);
  const tokens: number[] = [];
  let decoderMs = 0;
  let token = open.bosToken;
  while (tokens.length < maxTokens) {
    const isFirst = tokens.length === 0;
    const feeds = {
      ...past,
      input_ids: new Tensor('int64', BigInt64Array.of(BigInt(token)), [1, 1]),
      encoder_hidden_states: states,
      use_cache_branch: new Tensor('bool', Uint8Array.of(isFirst ? 0 : 1), [1]),
    };
    const before = performance.now();
    const outputs = await decoder.run(feeds);
    decoderMs += performance.now() - before;
    token = largest(present(outputs.logits).data as Float32Array);
    if (token === open.eosToken) break;
    tokens.push(token);
    for (const name of Object.keys(past)) {
      // Cross-attention state is made in the first pass alone.
      if (isFirst || name.includes('.decoder.'))
        past[name] = present(outputs[name.replace('past_key_values', 'present')]);
    }
  }
  return { tokens, encoderMs, decoderMs };
}

function emptyPast(decoder: InferenceSession): Record<string, Tensor> {
  const past: Record<string, Tensor> = {};
  for (const input of decoder.inputMetadata) {
    if (!input.isTensor || !input.name.startsWith('past_key_values')) continue;
    const dims = input.shape.map((dim, axis) => (typeof dim === 'number' ? dim : axis === 0 ? 1 : 0));
    past[input.name] = new Tensor('float32', new Float32Array(0), dims);
  }
  return past;
}

function largest(scores: Float32Array): number {
  let best = 0;
  let bestScore = -Infinity;
  for (let index = 0; index < scores.length; index += 1) {
    const score = scores[index] ?? -Infinity;
    if (score > bestScore) {
      best = index;
      bestScore = score;
    }
  }
  return best;
}

function first(names: readonly string[]): string {
  return present(names[0]);
}

function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the model is not of the form that this worker knows');
  return value;
}

async function answer(request: DirectRequest): Promise<DirectReply> {
  if (request.type === 'open') return { type: 'opened', threads: await openModel(request) };
  return { type: 'result', ...(await run(request.samples, request.maxTokens)) };
}

globalThis.addEventListener('message', ({ data }: MessageEvent<DirectRequest>) => {
  const reply = (message: DirectReply): void => globalThis.postMessage(message);
  answer(data).then(reply, (error: unknown) => reply({ type: 'failed', message: String(error) }));
});
