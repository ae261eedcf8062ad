/** Scores of the unsplit model, step by step: the same code in a page and in Node. */
import type { Manifest } from '../../src/package/manifest.ts';
import type { VerifyInput } from '../../src/package/verify.ts';
import { argmax } from '../../src/runtime/decode.ts';
import type { SpanRunner } from '../../src/runtime/runner.ts';
import { createExecutor } from '../../src/runtime/span-executor.ts';

export interface WholeScores {
  readonly tokens: readonly number[];
  /** `[steps, vocabulary]`, the step that yields the end token included. */
  readonly scores: Float32Array;
}

/**
 * Greedy, unless `forced` says which tokens to feed: then every step can be compared with another
 * runtime's, also where the two would choose differently.
 */
export async function wholeScores(
  manifest: Manifest,
  runner: SpanRunner,
  input: VerifyInput,
  forced?: readonly number[],
): Promise<WholeScores> {
  const eosTokens = manifest.generation?.eosTokens ?? [];
  const executor = createExecutor(manifest, { from: 0, to: manifest.blocks.length }, runner);
  await executor.load();
  const execution = executor.open();
  const tokens: number[] = [];
  const steps: Float32Array[] = [];
  try {
    let output = await execution.start({ once: input.feeds });
    for (;;) {
      if (output.kind !== 'logits') throw new Error('a model with a token loop is needed');
      steps.push(output.logits.slice());
      const token = argmax(output.logits);
      tokens.push(token);
      const isLast =
        forced === undefined
          ? eosTokens.includes(token) || tokens.length >= input.maxTokens
          : tokens.length >= forced.length;
      if (isLast) break;
      output = await execution.step([forced?.[tokens.length - 1] ?? token]);
    }
  } finally {
    await execution.close();
  }
  const width = steps[0]?.length ?? 0;
  const scores = new Float32Array(width * steps.length);
  steps.forEach((step, index) => {
    scores.set(step, index * width);
  });
  return { tokens, scores };
}
