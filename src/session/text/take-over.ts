/** How a route that was prepared beside a text takes it over: without a pause where it runs apart, else behind a halt. */
import type { Answer } from './answer.ts';
import type { Move } from './mover.ts';

/** A place that is ready to take over waits no longer than so many ms for the other's next token. */
const STALL_MS = 250;

export interface TakingOver {
  readonly answer: Answer;
  readonly now: () => number;
  readonly pause: (ms: number) => Promise<void>;
  /** The period is over, by itself or otherwise. */
  readonly over: AbortSignal;
  /** Called while the old route still runs: what that makes from then on is not heard. */
  readonly handOver: (move: Move) => void;
  /** Ends the old route. */
  readonly halt: () => void;
}

/** What preparing fails at is left to the switch, which makes again what is missing. */
export async function takeOver(
  move: Move,
  { answer, now, pause, over, handOver, halt }: TakingOver,
): Promise<void> {
  const { prepared } = move;
  const beat = {
    now,
    lastAt: () => answer.lastAt,
    next: () => Promise.race([answer.next(), pause(STALL_MS)]),
    expect: (pauseMs: number) => answer.gaps.expect(pauseMs),
  };
  const isMet = prepared.isApart && (await prepared.meet(beat, over).catch(() => false));
  if (isMet && !over.aborted && !answer.isOver) handOver(move);
  halt();
  if (!isMet) await prepared.follow(over).catch(() => undefined);
}
