/**
 * One token from the scores of one row. Both ends of a link call this, with drafts or without, so it rests
 * on nothing but its arguments and on arithmetic that is the same to the last bit in every engine.
 *
 * The order is that of Hugging Face's transformers: repetition penalty, temperature, top-k, top-p, min-p.
 * (llama.cpp puts the temperature last; with it in front, top-p sees the probabilities that are drawn from.)
 */
import type { Sampling } from '../core/sampling.ts';
import { IsthmusError } from '../errors.ts';
import { argmax } from './decode.ts';
import { uniform } from './sample-draw.ts';
import { expNegative } from './sample-exp.ts';
import { bestOf, nucleus } from './sample-select.ts';

const LARGEST_FLOAT32 = (2 - 2 ** -23) * 2 ** 127;

/**
 * @param scores `[vocabulary]`, not changed. `-Infinity` marks a token that must not be drawn.
 * @param sampling checked (`checkSampling`)
 * @param position of the token that is drawn, from 0 at the text's beginning
 * @param answer tokens before it that the repetition penalty looks at
 * @throws IsthmusError `run-failed`: no scores, scores that are NaN or Infinity, or no token left to draw
 */
export function pickToken(
  scores: Float32Array,
  sampling: Sampling,
  position: number,
  answer: readonly number[],
): number {
  const best = bestToken(scores);
  if (sampling.temperature === 0) return best;
  const penalised = withPenalty(scores, sampling.repetitionPenalty, answer);
  const top = penalised[penalised === scores ? best : argmax(penalised)] ?? 0;
  const { topK, topP, temperature } = sampling;
  const all = topK === 0 || topK >= penalised.length;
  let candidates = all ? everyIndex(penalised.length) : bestOf(penalised, topK);
  let weights = weightsOf(penalised, candidates, top, temperature);
  if (topP < 1) {
    candidates = nucleus(penalised, candidates, weights, topP * sum(weights));
    weights = weightsOf(penalised, candidates, top, temperature);
  }
  return draw(candidates, weights, sampling.minP, uniform(sampling.seed, position));
}

function failed(what: string): IsthmusError {
  return new IsthmusError('run-failed', `the model's scores cannot be drawn from: ${what}`);
}

/** Checks on the way that the scores can be compared. */
function bestToken(scores: Float32Array): number {
  for (let token = 0; token < scores.length; token += 1) {
    // False for NaN, too.
    if (!((scores[token] ?? 0) < Infinity)) throw failed(`that of token ${token} is ${scores[token]}`);
  }
  const best = argmax(scores);
  if ((scores[best] ?? -Infinity) === -Infinity) throw failed('there is none above -Infinity');
  return best;
}

/** Keskar et al. 2019 (CTRL), section 4.1, as in transformers: each token of the answer once. */
function withPenalty(scores: Float32Array, penalty: number, answer: readonly number[]): Float32Array {
  if (penalty === 1 || answer.length === 0) return scores;
  const penalised = scores.slice();
  for (const token of new Set(answer)) {
    const score = scores[token];
    if (score === undefined || score === -Infinity) continue;
    penalised[token] = score > 0 ? atMost(score / penalty) : -atMost(-score * penalty);
  }
  return penalised;
}

/** An extreme penalty must not make a finite score infinite. */
function atMost(score: number): number {
  return Math.min(score, LARGEST_FLOAT32);
}

function everyIndex(length: number): Uint32Array {
  const indices = new Uint32Array(length);
  for (let index = 0; index < length; index += 1) indices[index] = index;
  return indices;
}

/** Probabilities beside the best token's, which has 1. */
function weightsOf(
  scores: Float32Array,
  candidates: Uint32Array,
  top: number,
  temperature: number,
): Float64Array {
  const weights = new Float64Array(candidates.length);
  for (let at = 0; at < candidates.length; at += 1) {
    weights[at] = expNegative(((scores[candidates[at] ?? 0] ?? -Infinity) - top) / temperature);
  }
  return weights;
}

function sum(values: Float64Array): number {
  let total = 0;
  for (let index = 0; index < values.length; index += 1) total += values[index] ?? 0;
  return total;
}

/** The candidate at which the running sum of weights passes `share` of the whole. */
function draw(candidates: Uint32Array, weights: Float64Array, minP: number, share: number): number {
  let total = 0;
  for (let at = 0; at < weights.length; at += 1) {
    const weight = weights[at] ?? 0;
    if (weight < minP) weights[at] = 0;
    else total += weight;
  }
  const target = share * total;
  let running = 0;
  let last = 0;
  for (let at = 0; at < weights.length; at += 1) {
    const weight = weights[at] ?? 0;
    if (weight === 0) continue;
    running += weight;
    last = at;
    if (running > target) break;
  }
  return candidates[last] ?? 0;
}
