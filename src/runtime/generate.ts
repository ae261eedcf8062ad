/**
 * A whole request on one runner. The worker runs this beside its runtime, so that a local answer costs
 * no message, and no copy of the scores, per token.
 */
import type { TensorMap } from '../core/tensor.ts';
import type { Manifest } from '../package/manifest.ts';
import { decodeGreedy } from './decode.ts';
import type { SpanRunner } from './runner.ts';
import { createExecutor } from './span-executor.ts';

export interface GenerateRequest {
  /** Inputs of the first stage. */
  readonly inputs: TensorMap;
  /** Tokens known already; they are replayed and not reported. */
  readonly prefix: readonly number[];
  /** Of the whole answer, `prefix` included. */
  readonly maxTokens: number;
}

export interface GenerateResult {
  /** Outputs of a model without a token loop; else empty. */
  readonly outputs: TensorMap;
  /** New tokens, those of `prefix` not among them. */
  readonly tokens: readonly number[];
  /** Runtime ms by `stage:from-to:phase`. */
  readonly segmentMs: Readonly<Record<string, number>>;
}

export interface GenerateOptions {
  readonly onToken: (token: number) => void;
  readonly signal?: AbortSignal;
}

/** All blocks must be loaded on `runner`. Throws what the runner throws, and `aborted` between steps. */
export async function generate(
  manifest: Manifest,
  runner: SpanRunner,
  request: GenerateRequest,
  options: GenerateOptions,
): Promise<GenerateResult> {
  const executor = createExecutor(manifest, { from: 0, to: manifest.blocks.length }, runner);
  const execution = executor.open();
  try {
    const first = await execution.start({ once: request.inputs }, request.prefix);
    if (first.kind === 'outputs') {
      return { outputs: first.tensors, tokens: [], segmentMs: execution.segmentMs };
    }
    const { tokens } = await decodeGreedy(execution, first, {
      eosTokens: manifest.generation?.eosTokens ?? [],
      maxTokens: request.maxTokens - request.prefix.length,
      onToken: options.onToken,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    return { outputs: {}, tokens, segmentMs: execution.segmentMs };
  } finally {
    await execution.close();
  }
}
