/** The token loop over an execution: the same on the device and on the endpoint. */
import { IsthmusError, throwIfAborted } from '../errors.ts';
import type { SpanExecution, StepOutput } from './executor.ts';

export interface DecodeOptions {
  readonly eosTokens: readonly number[];
  /** Tokens to make, those in `prefix` not counted. */
  readonly maxTokens: number;
  readonly signal?: AbortSignal;
  /** Called with each token before the next step starts; end tokens are not reported. */
  readonly onToken?: (token: number) => void | Promise<void>;
}

export interface DecodeResult {
  readonly tokens: readonly number[];
  readonly reason: 'eos' | 'max-tokens';
}

/** Index of the largest score; the lowest index among equals, so that every place breaks ties alike. */
export function argmax(scores: Float32Array): number {
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

/**
 * Greedy decoding from the output of `start`.
 * @throws IsthmusError `aborted` between steps, and whatever the runner throws
 */
export async function decodeGreedy(
  execution: SpanExecution,
  first: StepOutput,
  options: DecodeOptions,
): Promise<DecodeResult> {
  const tokens: number[] = [];
  let output = first;
  while (tokens.length < options.maxTokens) {
    throwIfAborted(options.signal);
    if (output.kind !== 'logits') {
      throw new IsthmusError('internal', 'a token loop needs a span that reaches the end of the model');
    }
    const token = argmax(output.logits);
    if (options.eosTokens.includes(token)) return { tokens, reason: 'eos' };
    tokens.push(token);
    await options.onToken?.(token);
    if (tokens.length < options.maxTokens) output = await execution.step([token]);
  }
  return { tokens, reason: 'max-tokens' };
}
