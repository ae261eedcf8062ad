/** The token loop over a route: in one place, which guesses by itself, or step by step over a link with guesses from here. */
import type { Trip, WantedDrafts } from '../../core/draft/proposer.ts';
import type { Sampling } from '../../core/sampling.ts';
import { throwIfAborted } from '../../errors.ts';
import type { LoopPass } from '../../runtime/lane.ts';
import { evenPasses, type SeenPass } from './even-passes.ts';
import { laneAt, type RouteRun } from './lane-set.ts';
import type { Route } from './route.ts';
import { fillRoute, startsOf } from './run-route.ts';

/** Proposes what may come next; see `core/draft`. */
export interface Proposals {
  /** What is wanted of a place that proposes by itself. */
  readonly wanted: WantedDrafts;
  /** What came of those. */
  note(loop: { readonly drafted: number; readonly accepted: number }): void;
  /** At most `most` tokens that may follow `tokens`; empty when it does not pay. */
  propose(tokens: readonly number[], most: number): readonly number[];
  /** One trip took `ms` with `drafted` proposals, of which so many were right. */
  learn(trip: Trip): void;
}

export interface DecodeRequest {
  readonly route: Route;
  /** The whole text; it grows as tokens are made. */
  readonly tokens: readonly number[];
  /** Index in `tokens` of the answer's first. */
  readonly answerFrom: number;
  /** Length that `tokens` may reach. */
  readonly until: number;
  readonly sampling: Sampling;
  readonly endTokens: readonly number[];
  readonly proposals: Proposals;
  /** Takes a new token and adds it to `tokens`; false when the answer is over and takes no more. */
  readonly take: (token: number) => boolean;
  /** Ends the loop at the next pass. */
  readonly halt: AbortSignal;
}

export interface DecodeEnd {
  readonly reason: 'end' | 'max-tokens' | 'halted';
}

/** Throws what lanes throw; tokens told by then are in `tokens` and stay right. */
export async function decodeRoute(request: DecodeRequest, run: RouteRun): Promise<DecodeEnd> {
  const { legs } = request.route;
  const [first] = legs;
  if (legs.length === 1 && first !== undefined) return loopInOnePlace(request, run);
  return stepByStep(request, run);
}

async function loopInOnePlace(request: DecodeRequest, run: RouteRun): Promise<DecodeEnd> {
  const { route, tokens, answerFrom, proposals, halt } = request;
  const [leg] = route.legs;
  if (leg === undefined || tokens.length >= request.until) return { reason: 'max-tokens' };
  const lane = laneAt(run.lanes, leg.place);
  const position = Math.min(lane.filled(leg.span), tokens.length - 1);
  const began = run.now();
  let first: SeenPass | undefined;
  let lastMs = 0;
  const steps: LoopPass[] = [];
  const known = tokens.length;
  const { reason, ...guessed } = await lane.loop(
    {
      position,
      tokens: tokens.slice(position),
      sampling: request.sampling,
      answer: tokens.slice(answerFrom),
      endTokens: request.endTokens,
      maxTokens: request.until - known,
      drafts: proposals.wanted,
    },
    {
      signal: halt,
      onPass: (pass) => {
        // Of passes that were told of late nothing is known.
        if (pass.rows > 0) {
          lastMs = run.now() - began;
          if (first === undefined) first = { rows: Math.max(known - position, pass.rows), ms: lastMs };
          else steps.push(pass);
        }
        for (const token of pass.tokens) if (!request.take(token)) break;
      },
    },
  );
  proposals.note(guessed);
  if (first === undefined) return { reason: reason === 'stopped' ? 'halted' : reason };
  run.onLeg?.(leg, first.rows, first.ms);
  // By this end's clock, what passes between the runtime and here included.
  const inside = steps.reduce((sum, { ms }) => sum + ms, 0);
  const outside = (lastMs - first.ms - inside) / Math.max(1, steps.length);
  const seen = steps.map(({ rows, ms }) => ({ rows, ms: Math.max(0, ms + outside) }));
  for (const { rows, ms } of evenPasses(seen)) run.onLeg?.(leg, rows, ms);
  return { reason: reason === 'stopped' ? 'halted' : reason };
}

async function stepByStep(request: DecodeRequest, run: RouteRun): Promise<DecodeEnd> {
  const { route, tokens, answerFrom, sampling, endTokens, proposals, halt } = request;
  while (tokens.length < request.until) {
    if (halt.aborted) return { reason: 'halted' };
    throwIfAborted(run.signal);
    const starts = startsOf(route.legs, run.lanes, tokens.length - 1);
    const drafts = proposals.propose(tokens, request.until - tokens.length - 1);
    const began = run.now();
    const { tokens: picked } = await fillRoute(route, run, [...tokens, ...drafts], starts, {
      kind: 'pick',
      pick: { sampling, answer: tokens.slice(answerFrom), drafts },
    });
    // Where a leg had more to fill, the time is not a trip's.
    const isStep = starts.every((start) => start === tokens.length - 1);
    if (isStep) {
      proposals.learn({ drafted: drafts.length, accepted: picked.length - 1, ms: run.now() - began });
    }
    for (const token of picked) {
      if (endTokens.includes(token)) {
        forget(run, tokens.length);
        return { reason: 'end' };
      }
      if (!request.take(token) || halt.aborted) break;
    }
    // Rows of proposals that were wrong, and of tokens that nobody took, are no part of the text.
    forget(run, tokens.length - 1);
  }
  return { reason: 'max-tokens' };
}

function forget(run: RouteRun, position: number): void {
  for (const lane of Object.values(run.lanes)) lane.rewind(position);
}
