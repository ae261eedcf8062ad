/** transformers.js on the original files of the speech model, in a worker as its documentation advises. */
import { AutoModelForSpeechSeq2Seq, env, type PreTrainedModel, Tensor } from '@huggingface/transformers';

export interface SpeechOpen {
  readonly threads: number;
  readonly modelsUrl: string;
  readonly modelName: string;
  readonly ortMjsUrl: string;
  readonly ortWasmUrl: string;
}

export type SpeechRequest =
  | { readonly type: 'open'; readonly options: SpeechOpen }
  | { readonly type: 'run'; readonly samples: Float32Array; readonly maxTokens: number };

export type SpeechReply =
  | { readonly type: 'opened' }
  | { readonly type: 'result'; readonly tokens: readonly number[] }
  | { readonly type: 'failed'; readonly message: string };

let model: PreTrainedModel | undefined;

async function open({ threads, modelsUrl, modelName, ortMjsUrl, ortWasmUrl }: SpeechOpen): Promise<void> {
  env.allowRemoteModels = false;
  env.allowLocalModels = true;
  env.localModelPath = modelsUrl;
  env.useBrowserCache = false;
  env.useWasmCache = false;
  const { wasm } = env.backends.onnx;
  if (wasm === undefined) throw new Error('transformers.js has no WASM backend here');
  wasm.wasmPaths = { mjs: ortMjsUrl, wasm: ortWasmUrl };
  wasm.numThreads = threads;
  model = await AutoModelForSpeechSeq2Seq.from_pretrained(modelName, { device: 'wasm', dtype: 'q8' });
}

async function run(samples: Float32Array, maxTokens: number): Promise<readonly number[]> {
  if (model === undefined) throw new Error('open the model first');
  const output = await model.generate({
    inputs: new Tensor('float32', samples, [1, samples.length]),
    max_new_tokens: maxTokens,
    do_sample: false,
  } as unknown as Parameters<PreTrainedModel['generate']>[0]);
  const [tokens] = (output as Tensor).tolist() as bigint[][];
  return (tokens ?? []).map(Number);
}

async function answer(request: SpeechRequest): Promise<SpeechReply> {
  if (request.type === 'run')
    return { type: 'result', tokens: await run(request.samples, request.maxTokens) };
  await open(request.options);
  return { type: 'opened' };
}

globalThis.addEventListener('message', ({ data }: MessageEvent<SpeechRequest>) => {
  const reply = (message: SpeechReply): void => globalThis.postMessage(message);
  answer(data).then(reply, (error: unknown) => reply({ type: 'failed', message: String(error) }));
});
