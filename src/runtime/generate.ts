/**
 * A whole request on one runner. The worker runs this beside its runtime, so that a local answer costs
 * no message, and no copy of the scores, per token.
 */
import type { Manifest } from '../package/manifest.ts';
import { decodeGreedy } from './decode.ts';
import type { GenerateOptions, GenerateRequest, GenerateResult, SpanRunner } from './runner.ts';
import { createExecutor } from './span-executor.ts';

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
