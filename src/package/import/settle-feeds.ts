/**
 * What the inputs that follow from the place really mean, by measurement: with the right meaning some
 * rows at once give the same scores as the same rows in two calls. Names decide nothing here.
 */
import { asFloat32, type TensorMap } from '../../core/tensor.ts';
import { IsthmusError } from '../../errors.ts';
import type { StepFeed } from '../manifest.ts';
import type { LoopParts } from './classify.ts';
import type { FeedCandidates } from './feed-candidates.ts';
import type { ImportHints } from './hints.ts';
import { type ProbeRun, type Prober, withModel } from './probe-session.ts';
import { inputDtype } from './prober.ts';
import { freshState, placeFeeds } from './step-place.ts';

/** Rows at once, and how many of them the first of two calls takes. */
const ROWS = 5;
const FIRST_ROWS = 3;

/** Meanings that are tried at most; inputs with several candidates are few. */
const MAX_TRIES = 96;

/** Difference of scores, as a share of their largest, that is nothing but another order of sums. */
const SAME_SHARE = 1e-3;

/**
 * The same where activations are quantised with one scale for all rows (`DynamicQuantizeLinear`): then
 * rows at once and one by one differ by nature. A wrong meaning differs by about the scores themselves.
 */
const QUANTISED_SHARE = 0.25;

export interface SettledFeeds {
  readonly feeds: readonly StepFeed[];
  readonly notes: readonly string[];
}

/** @throws IsthmusError `unsupported-model` where no meaning fits, `bad-option` for hints that do not */
export async function settleFeeds(
  loop: LoopParts,
  hints: ImportHints | undefined,
  prober: Prober,
): Promise<SettledFeeds> {
  for (const feed of hints?.feeds ?? []) checkHint(loop, feed);
  const hinted = new Set(hints?.feeds.map((feed) => feed.input));
  if (loop.context.length > 0) return { feeds: [], notes: [] };
  if (hints !== undefined && loop.places.every(({ value }) => hinted.has(value.name))) {
    return { feeds: loop.places.map(({ value, kinds }) => toFeed({ value, kinds }, kinds[0])), notes: [] };
  }
  return withModel(prober, loop.step, (run) => settle(loop, run));
}

function checkHint(loop: LoopParts, { input, rank }: StepFeed): void {
  const place = loop.places.find(({ value }) => value.name === input);
  if (place !== undefined && place.value.dims?.length === rank) return;
  throw new IsthmusError('bad-option', `the hint for '${input}' does not fit an input of the graph`, {
    details: { input, rank },
  });
}

async function settle(loop: LoopParts, run: ProbeRun): Promise<SettledFeeds> {
  let best: { feeds: readonly StepFeed[]; share: number } | undefined;
  let failure: unknown;
  for (const feeds of meanings(loop.places)) {
    try {
      const share = await difference(loop, feeds, run);
      if (!(share < (best?.share ?? Infinity))) continue;
      best = { feeds, share };
      if (share <= SAME_SHARE) break;
    } catch (error) {
      // A shape that does not fit is an answer: the input means something else.
      failure = error;
    }
  }
  if (best === undefined || best.share > QUANTISED_SHARE) throw unsettled(loop, best?.share, failure);
  const notes =
    best.share <= SAME_SHARE
      ? []
      : [
          `several rows at once and one by one differ by ${best.share.toFixed(4)} of the largest score: activations are quantised over all rows`,
        ];
  return { feeds: best.feeds, notes };
}

function unsettled(loop: LoopParts, share: number | undefined, cause: unknown): IsthmusError {
  const inputs = loop.places.map(({ value }) => value.name);
  const what = inputs.length === 0 ? 'this decoder' : `this decoder with the inputs ${inputs.join(', ')}`;
  const reason = cause instanceof Error ? `: ${cause.message}` : '';
  return new IsthmusError(
    'unsupported-model',
    share === undefined
      ? `${what} runs with none of the meanings that are known${reason}`
      : `${what} gives other scores for rows at once than for rows one after the other`,
    { cause, details: { inputs, ...(share === undefined ? {} : { share }) } },
  );
}

/** Every choice of one kind for each input, best guesses first. */
function meanings(places: readonly FeedCandidates[]): (readonly StepFeed[])[] {
  let choices: { feeds: StepFeed[]; doubt: number }[] = [{ feeds: [], doubt: 0 }];
  for (const place of places) {
    choices = choices.flatMap(({ feeds, doubt }) =>
      place.kinds.map((kind, index) => ({ feeds: [...feeds, toFeed(place, kind)], doubt: doubt + index })),
    );
    choices.sort((a, b) => a.doubt - b.doubt);
    choices.length = Math.min(choices.length, MAX_TRIES);
  }
  return choices.map(({ feeds }) => feeds);
}

function toFeed({ value, kinds }: FeedCandidates, kind = kinds[0]): StepFeed {
  if (kind === undefined) throw new IsthmusError('internal', `no meaning for '${value.name}'`);
  return { input: value.name, kind, dtype: inputDtype(value), rank: value.dims?.length ?? 0 };
}

/** Largest difference of the scores of all rows, as a share of the largest score. */
async function difference(loop: LoopParts, feeds: readonly StepFeed[], run: ProbeRun): Promise<number> {
  const step = async (past: number, rows: number, state: TensorMap): Promise<TensorMap> =>
    run({ ...placeFeeds(loop, feeds, { past, rows, picked: rows }), ...state }, [
      loop.logits.name,
      ...loop.stepStates.map((pair) => pair.output.name),
    ]);
  const atOnce = rowScores(loop, await step(0, ROWS, freshState(loop)), ROWS);
  const first = await step(0, FIRST_ROWS, freshState(loop));
  const kept: Record<string, TensorMap[string]> = {};
  for (const { input, output } of loop.stepStates) {
    const made = first[output.name];
    if (made !== undefined) kept[input.name] = made;
  }
  const rest = ROWS - FIRST_ROWS;
  const second = await step(FIRST_ROWS, rest, kept);
  const apart = [...rowScores(loop, first, FIRST_ROWS), ...rowScores(loop, second, rest)];
  let largest = 0;
  let difference = 0;
  atOnce.forEach((score, index) => {
    largest = Math.max(largest, Math.abs(score));
    difference = Math.max(difference, Math.abs(score - (apart[index] ?? Number.NaN)));
  });
  return largest === 0 && difference === 0 ? 0 : difference / largest;
}

/** One row of scores for each of `rows`: what yields others was told something else than what it takes. */
function rowScores(loop: LoopParts, outputs: TensorMap, rows: number): Float32Array {
  const scores = outputs[loop.logits.name];
  const width = scores?.dims.at(-1) ?? 0;
  const values = scores === undefined ? new Float32Array(0) : asFloat32(scores);
  if (width === 0 || values.length !== rows * width) {
    throw new IsthmusError(
      'unsupported-model',
      `the step does not yield ${rows} rows of '${loop.logits.name}'`,
    );
  }
  return values;
}
