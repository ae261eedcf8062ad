/** transformers.js in a worker, as its documentation advises. Times are taken here, beside the model. */
import {
  AutoModelForCausalLM,
  BaseStreamer,
  env,
  type PreTrainedModel,
  Tensor,
} from '@huggingface/transformers';
import { Stopwatch, type TextAnswer, type TextOpen } from './text-contender.ts';

export type TransformersRequest =
  | { readonly type: 'open'; readonly options: TextOpen }
  | { readonly type: 'run'; readonly tokens: readonly number[]; readonly maxTokens: number };

export type TransformersReply =
  | { readonly type: 'opened' }
  | { readonly type: 'result'; readonly answer: TextAnswer }
  | { readonly type: 'failed'; readonly message: string };

let model: PreTrainedModel | undefined;

async function open({ threads, modelsUrl, modelName, ortMjsUrl, ortWasmUrl }: TextOpen): Promise<void> {
  env.allowRemoteModels = false;
  env.allowLocalModels = true;
  env.localModelPath = modelsUrl;
  env.useBrowserCache = false;
  env.useWasmCache = false;
  const { wasm } = env.backends.onnx;
  if (wasm === undefined) throw new Error('transformers.js has no WASM backend here');
  wasm.wasmPaths = { mjs: ortMjsUrl, wasm: ortWasmUrl };
  wasm.numThreads = threads;
  model = await AutoModelForCausalLM.from_pretrained(modelName, { device: 'wasm', dtype: 'q8' });
}

/** Hears the prompt first, then each token. */
class Listener extends BaseStreamer {
  readonly watch = new Stopwatch();
  readonly tokens: number[] = [];
  #isPromptHeard = false;

  override put([row]: bigint[][]): void {
    if (this.#isPromptHeard) {
      this.watch.token();
      this.tokens.push(...(row ?? []).map(Number));
    }
    this.#isPromptHeard = true;
  }

  override end(): void {}
}

async function run(tokens: readonly number[], maxTokens: number): Promise<TextAnswer> {
  if (model === undefined) throw new Error('open the model first');
  const dims = [1, tokens.length];
  const listener = new Listener();
  await model.generate({
    inputs: new Tensor('int64', BigInt64Array.from(tokens, BigInt), dims),
    attention_mask: new Tensor('int64', new BigInt64Array(tokens.length).fill(1n), dims),
    max_new_tokens: maxTokens,
    do_sample: false,
    streamer: listener,
  } as unknown as Parameters<PreTrainedModel['generate']>[0]);
  return { ...listener.watch.times, newTokens: listener.tokens.length, answer: listener.tokens };
}

async function answer(request: TransformersRequest): Promise<TransformersReply> {
  if (request.type === 'run') return { type: 'result', answer: await run(request.tokens, request.maxTokens) };
  await open(request.options);
  return { type: 'opened' };
}

globalThis.addEventListener('message', ({ data }: MessageEvent<TransformersRequest>) => {
  const reply = (message: TransformersReply): void => globalThis.postMessage(message);
  answer(data).then(reply, (error: unknown) => reply({ type: 'failed', message: String(error) }));
});
