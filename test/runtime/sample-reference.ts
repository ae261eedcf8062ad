/** Sampling written down plainly, with a full sort: what the fast one is held to. */
import type { Sampling } from '../../src/core/sampling.ts';

/** Probability of each token, by the definitions of transformers' processors and warpers in their order. */
export function probabilities(scores: Float32Array, sampling: Sampling, answer: readonly number[]): number[] {
  const adjusted = Array.from(scores, (score, token) => {
    if (!answer.includes(token) || sampling.repetitionPenalty === 1) return score;
    return Math.fround(score > 0 ? score / sampling.repetitionPenalty : score * sampling.repetitionPenalty);
  });
  const order = adjusted.map((_, token) => token);
  order.sort((a, b) => (adjusted[b] ?? 0) - (adjusted[a] ?? 0) || a - b);
  const kept = sampling.topK > 0 ? order.slice(0, sampling.topK) : order;
  const best = adjusted[kept[0] ?? 0] ?? 0;
  const weights = kept.map((token) => Math.exp(((adjusted[token] ?? 0) - best) / sampling.temperature));
  const all = weights.reduce((total, weight) => total + weight, 0);
  let before = 0;
  const result = new Array<number>(scores.length).fill(0);
  for (const [at, token] of kept.entries()) {
    const weight = weights[at] ?? 0;
    const inNucleus = sampling.topP >= 1 || before < sampling.topP * all;
    if (inNucleus && weight >= sampling.minP) result[token] = weight;
    before += weight;
  }
  const left = result.reduce((total, weight) => total + weight, 0);
  return result.map((weight) => weight / left);
}
