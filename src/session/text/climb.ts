/**
 * Brings the first blocks of a lane up to a text. Blocks may hold the less of it the later they came: rows that
 * earlier blocks have passed on go through the later ones from where they are kept, the furthest behind first,
 * and only rows that no block holds are made from tokens.
 */
import { throwIfAborted } from '../../errors.ts';
import type { ForwardRequest, LaneInput } from '../../runtime/lane.ts';
import type { HeldLane } from './held-lane.ts';

/** Rows per call beside a running text: a step that must wait for such a call waits no longer. */
export const CATCH_UP_ROWS = 32;

export interface ClimbGoal {
  /** Blocks `[0, end)` are brought up, to hold all positions before `upTo`. */
  readonly end: number;
  readonly upTo: number;
  readonly tokens: readonly number[];
  /** Of a call at most; default `CATCH_UP_ROWS`. */
  readonly rows?: number;
}

/** The next call, or `undefined` when the goal is reached. Pure. */
export function nextClimb(
  lane: HeldLane,
  { end, upTo, tokens, rows = CATCH_UP_ROWS }: ClimbGoal,
): ForwardRequest | undefined {
  const held = lane.filled({ from: 0, to: end });
  if (held >= upTo) return undefined;
  let from = end;
  while (from > 0 && lane.filled({ from: from - 1, to: from }) <= held) from -= 1;
  const chunk = from > 0 && from < end ? lane.kept.find(from, held) : undefined;
  const position = chunk?.from ?? held;
  const to = Math.min(upTo, held + rows);
  const input: LaneInput =
    chunk === undefined
      ? { kind: 'tokens', tokens: tokens.slice(held, to) }
      : { kind: 'tensors', tensors: chunk.tensors, rows: chunk.rows };
  return {
    span: { from: chunk === undefined ? 0 : from, to: end },
    position,
    input,
    want: end < lane.blocks ? { kind: 'crossing' } : { kind: 'nothing' },
  };
}

/** To the goal. Throws what the lane throws, and `aborted`. */
export async function climbTo(lane: HeldLane, goal: ClimbGoal, signal?: AbortSignal): Promise<void> {
  for (let next = nextClimb(lane, goal); next !== undefined; next = nextClimb(lane, goal)) {
    await climb(lane, next, signal);
  }
}

/** One call. Throws what the lane throws, and `aborted`. */
export async function climb(lane: HeldLane, request: ForwardRequest, signal?: AbortSignal): Promise<void> {
  const { span, position, input } = request;
  const { tensors } = await lane.beside.do(() => {
    throwIfAborted(signal);
    return lane.forward(request);
  });
  const rows = input.kind === 'tokens' ? input.tokens.length : input.rows;
  const last = { from: span.to - 1, to: span.to };
  // Where the text was changed meanwhile, these rows are not of it.
  if (lane.filled(last) < position + rows) return;
  if (request.want.kind === 'crossing') lane.kept.put(span.to, { from: position, rows, tensors });
  if (span.from > 0) lane.kept.release(span.from, position + rows);
}
