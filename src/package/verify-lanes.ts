/**
 * Split = whole for models that are a token loop alone, by the lanes that answers run on. Each way of
 * running a text is held against the whole model run the same way; and, on the whole model, the ways
 * against each other: rows at once, row by row, and after going back.
 */
import type { Span } from '../core/span.ts';
import { IsthmusError, throwIfAborted } from '../errors.ts';
import type { Lane, LaneInput, Want } from '../runtime/lane.ts';
import type { LoopStage, Manifest } from './manifest.ts';
import { INCOMPARABLE, largestOf } from './verify-difference.ts';
import { type VerifyMethod, worstOf } from './verify-method.ts';
import { MIN_STEPS, type RunDifference, type VerifyInput, type VerifyTools } from './verify-types.ts';

type Rows = readonly Float32Array[];

/** One text, run in each way; scores by position. */
interface Text {
  readonly tokens: readonly number[];
  /** Tokens that were run at once; the rest came one by one. */
  readonly prompt: number;
  readonly atOnce: Rows;
  readonly oneByOne: Rows;
  /** From the middle of the prompt on. */
  readonly again: Rows | undefined;
}

/** Runs rows through the model, whole or split, on a lane of its own. */
class SplitLane {
  readonly #lane: Lane;
  readonly #cut: number;
  readonly #last: number;

  constructor(lane: Lane, cut: number, last: number) {
    this.#lane = lane;
    this.#cut = cut;
    this.#last = last;
  }

  /** Scores of every row. */
  async rows(position: number, tokens: readonly number[]): Promise<Rows> {
    const rows = tokens.length;
    const scored: Want = { kind: 'scores', rows };
    let input: LaneInput = { kind: 'tokens', tokens };
    const isSplit = this.#cut > 0 && this.#cut < this.#last;
    if (isSplit) {
      const near = { from: 0, to: this.#cut };
      const { tensors } = await this.#lane.forward({
        span: near,
        position,
        input,
        want: { kind: 'crossing' },
      });
      input = { kind: 'tensors', tensors, rows };
    }
    const far: Span = { from: isSplit ? this.#cut : 0, to: this.#last };
    const { scores } = await this.#lane.forward({ span: far, position, input, want: scored });
    if (scores === undefined) throw new IsthmusError('internal', 'the lane gave no scores');
    const width = scores.length / rows;
    return Array.from({ length: rows }, (_, row) => scores.slice(row * width, (row + 1) * width));
  }
}

/** The loop of a package that is nothing else. */
export function soleLoop(manifest: Manifest): LoopStage | undefined {
  const [stage, ...more] = manifest.stages;
  return stage?.kind === 'loop' && more.length === 0 && stage.context.length === 0 ? stage : undefined;
}

/** @param open a fresh lane over the spans that are loaded */
export function laneMethod(manifest: Manifest, open: () => Lane, tools: VerifyTools): VerifyMethod<Text> {
  return {
    refer: async (input) => {
      const written = await writeText(manifest, input, open, tools);
      return runText(manifest, written, 0, open, tools);
    },
    compare: async (text, _executors, cut) => {
      const split = await runText(manifest, text, cut, open, tools);
      return worstOf([
        compareRows(text.atOnce, split.atOnce, tools),
        compareRows(text.oneByOne, split.oneByOne, tools),
        compareRows(text.again ?? [], split.again ?? [], tools),
      ]);
    },
    ways: (texts) => {
      const prefill = worstOf(texts.map((text) => compareRows(text.oneByOne, text.atOnce, tools)));
      const rewinds = texts.flatMap(({ atOnce, again, prompt }) =>
        again === undefined ? [] : [compareRows(atOnce.slice(goBackTo(prompt)), again, tools)],
      );
      return rewinds.length === 0 ? { prefill } : { prefill, rewind: worstOf(rewinds) };
    },
  };
}

/** The prompt and what the whole model goes on with, greedily. */
async function writeText(
  manifest: Manifest,
  input: VerifyInput,
  open: () => Lane,
  tools: VerifyTools,
): Promise<Pick<Text, 'tokens' | 'prompt'>> {
  const room = manifest.text?.contextLength ?? Infinity;
  const { bosToken = 0, eosTokens = [] } = manifest.generation ?? {};
  const forced = input.forced ?? [];
  const prompt = (forced.length > 0 ? forced : [bosToken]).slice(0, Math.max(1, room - 1));
  const most = Math.min(room, Math.max(prompt.length, input.maxTokens));
  const tokens = [...prompt];
  const lane = open();
  try {
    const whole = new SplitLane(lane, 0, manifest.blocks.length);
    let rows = await whole.rows(0, prompt);
    while (tokens.length < most) {
      throwIfAborted(tools.signal);
      const token = tools.argmax(rows.at(-1) ?? new Float32Array(0));
      if (eosTokens.includes(token) && tokens.length >= prompt.length + MIN_STEPS) break;
      tokens.push(token);
      rows = await whole.rows(tokens.length - 1, [token]);
    }
  } finally {
    await lane.close();
  }
  return { tokens, prompt: prompt.length };
}

async function runText(
  manifest: Manifest,
  { tokens, prompt }: Pick<Text, 'tokens' | 'prompt'>,
  cut: number,
  open: () => Lane,
  tools: VerifyTools,
): Promise<Text> {
  const last = manifest.blocks.length;
  const rest = async (lane: SplitLane, from: number): Promise<Rows> => {
    const rows: Float32Array[] = [];
    for (let at = from; at < tokens.length; at += 1) {
      throwIfAborted(tools.signal);
      rows.push(...(await lane.rows(at, tokens.slice(at, at + 1))));
    }
    return rows;
  };
  const onLane = async <T>(use: (lane: SplitLane) => Promise<T>): Promise<T> => {
    const lane = open();
    try {
      return await use(new SplitLane(lane, cut, last));
    } finally {
      await lane.close();
    }
  };
  const canGoBack = soleLoop(manifest)?.states.every((state) => state.growth !== 'replace') === true;
  const { atOnce, again } = await onLane(async (lane) => {
    const first = await lane.rows(0, tokens.slice(0, prompt));
    const made = { atOnce: [...first, ...(await rest(lane, prompt))], again: undefined };
    if (!canGoBack) return made;
    const middle = goBackTo(prompt);
    const repeated = await lane.rows(middle, tokens.slice(middle, prompt));
    return { ...made, again: [...repeated, ...(await rest(lane, prompt))] };
  });
  return { tokens, prompt, atOnce, again, oneByOne: await onLane((lane) => rest(lane, 0)) };
}

/** A position inside the prompt: the state behind it is dropped while what lies before it stays. */
function goBackTo(prompt: number): number {
  return Math.floor(prompt / 2);
}

function compareRows(expected: Rows, got: Rows, tools: VerifyTools): RunDifference {
  if (expected.length !== got.length) return { maxAbsDiff: INCOMPARABLE, tokensEqual: false };
  return worstOf(
    expected.map((row, index) => {
      const other = got[index] ?? new Float32Array(0);
      return { maxAbsDiff: largestOf(row, other), tokensEqual: tools.argmax(row) === tools.argmax(other) };
    }),
  );
}
