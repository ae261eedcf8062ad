/**
 * A loop that shares its runner: one pass a turn while others wait. One that nobody waits for runs on beside the runtime,
 * without a hop between threads per pass, and is called back at its next pass when somebody comes.
 */
import type { Span } from '../core/span.ts';
import { throwIfAborted } from '../errors.ts';
import type { EndpointTiming } from '../protocol/messages.ts';
import type { ForwardRequest, LaneInput, LoopPass, LoopRequest, LoopResult } from '../runtime/lane.ts';
import { PREFILL_ROWS } from '../runtime/lane-run.ts';
import type { Stopwatch } from './lane-times.ts';
import type { LaneTurns } from './lane-turns.ts';
import { MAX_SLICE_TOKENS } from './limits.ts';

export interface HostedLoopOptions {
  /** `timing` is what passed since the pass before. */
  readonly onPass: (pass: LoopPass, timing: EndpointTiming) => void;
  /** Called before each turn with the positions that may be held after it; waits and throws as it likes. */
  readonly beforeTurn: (positions: number) => Promise<void>;
  /** Ends the loop at its next pass. */
  readonly halt: AbortSignal;
  /** Nobody wants the answer any more. */
  readonly signal: AbortSignal;
}

export type LoopOutcome = Pick<LoopResult, 'reason' | 'endToken' | 'drafted' | 'accepted'>;

interface Slice {
  readonly outcome: LoopOutcome;
  readonly made: readonly number[];
}

/**
 * The whole answer, turn by turn: the prompt first, in pieces of `PREFILL_ROWS`.
 *
 * @param span all blocks of the loop
 */
export async function runHostedLoop(
  turns: LaneTurns,
  span: Span,
  request: LoopRequest,
  options: HostedLoopOptions,
  times: Stopwatch,
): Promise<LoopOutcome> {
  const { halt, signal, beforeTurn } = options;
  const answer = [...request.answer];
  const guessed = { drafted: 0, accepted: 0 };
  let { position, tokens } = request;
  while (tokens.length > PREFILL_ROWS && request.maxTokens > 0) {
    await beforeTurn(position + PREFILL_ROWS);
    if (halt.aborted) return { reason: 'stopped', ...guessed };
    const input: LaneInput = { kind: 'tokens', tokens: tokens.slice(0, PREFILL_ROWS) };
    const piece: ForwardRequest = { span, position, input, want: { kind: 'nothing' } };
    await turns.forward(times, signal, piece);
    position += PREFILL_ROWS;
    tokens = tokens.slice(PREFILL_ROWS);
  }
  for (let left = request.maxTokens; ; ) {
    const most = Math.min(left, MAX_SLICE_TOKENS);
    await beforeTurn(position + tokens.length + most);
    if (halt.aborted) return { reason: 'stopped', ...guessed };
    const slice = await runSlice(
      turns,
      span,
      { ...request, position, tokens, answer, maxTokens: most },
      options,
      times,
    );
    throwIfAborted(signal);
    const { drafted, accepted, ...ended } = slice.outcome;
    const { made } = slice;
    guessed.drafted += drafted;
    guessed.accepted += accepted;
    left -= made.length;
    // Fewer than asked for: the context is full.
    const isFull = ended.reason === 'max-tokens' && (left === 0 || made.length < most);
    if (ended.reason === 'end' || isFull) return { ...ended, ...guessed };
    const last = made.at(-1);
    if (last === undefined) continue;
    answer.push(...made);
    position += tokens.length + made.length - 1;
    tokens = [last];
  }
}

/** One turn: one pass where others wait, else until somebody does. */
async function runSlice(
  turns: LaneTurns,
  span: Span,
  request: LoopRequest,
  options: HostedLoopOptions,
  times: Stopwatch,
): Promise<Slice> {
  const { queue, lane, clock, watch } = turns.options;
  const { halt, signal, onPass } = options;
  const asked = clock.now();
  const turn = queue.run(async () => {
    let mark = clock.now();
    times.queueMs += mark - asked;
    const lap = (): void => {
      const now = clock.now();
      times.computeMs += now - mark;
      mark = now;
    };
    const stop = new AbortController();
    const end = (): void => stop.abort();
    const isAlone = queue.length === 0;
    const made: number[] = [];
    // Never before the first pass: two loops would else give way to each other for ever.
    let isAwaited = false;
    const giveWay = (): void => {
      isAwaited = true;
      if (made.length > 0) end();
    };
    const forget = isAlone ? queue.onWaiting(giveWay) : () => undefined;
    halt.addEventListener('abort', end, { once: true });
    signal.addEventListener('abort', end, { once: true });
    try {
      const { reason, endToken, drafted, accepted } = await lane.loop(
        isAlone ? request : { ...request, maxPasses: 1 },
        {
          signal: stop.signal,
          onPass: (pass) => {
            const began = mark;
            lap();
            // The first one's rows are those that came with the call.
            if (made.length > 0) turns.ran(span, pass.rows, mark - began);
            made.push(...pass.tokens);
            if (isAwaited) end();
            if (!signal.aborted) onPass(pass, times.lap());
          },
        },
      );
      const last = endToken === undefined ? {} : { endToken };
      return { outcome: { reason, drafted, accepted, ...last }, made };
    } finally {
      lap();
      forget();
      halt.removeEventListener('abort', end);
      signal.removeEventListener('abort', end);
    }
  }, signal);
  return watch(turn);
}
