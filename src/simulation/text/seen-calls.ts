/**
 * What paces and drafts learn from an answer's calls, seen with noise. As in a session, the device's own loop is told
 * of only when it has ended.
 */
import type { Leg, Route } from '../../session/text/route.ts';
import { computeNoise, linkNoise } from './noise.ts';
import type { PlayerState } from './player-state.ts';
import type { Spent, Truth } from './truth.ts';

/** Calls of the device's loop that nobody was told of yet. */
export type LoopCalls = { readonly rows: number; readonly ms: number }[];

/** Of the call that reads the rows before the first token. */
export function seePrefill(
  player: PlayerState,
  truth: Truth,
  route: Route,
  call: { readonly rows: number; readonly context: number },
  untold: LoopCalls,
): void {
  const { rows, context } = call;
  const [only] = route.legs;
  if (route.legs.length === 1 && only?.place === 'device') {
    const work = truth.work('device', only.span, rows, context, 1, player.held.runs);
    untold.push({ rows, ms: work * computeNoise(player.random) });
    return;
  }
  seePass(player, truth, route, rows, context, 1);
}

/** One token in one place, or one trip: what it truly takes, and the tokens that it brings on the mean. */
export function seeStep(
  player: PlayerState,
  truth: Truth,
  route: Route,
  at: { readonly context: number; readonly left: number },
  untold: LoopCalls,
): { readonly spent: Spent; readonly tokens: number } {
  const { context, left } = at;
  const { moment } = truth;
  const [only] = route.legs;
  const runs = player.held.runs;
  player.held = { ...player.held, runs: runs + 1 };
  if (route.legs.length === 1 && only !== undefined) {
    return { spent: seeToken(player, truth, only, context, runs, untold), tokens: 1 };
  }
  const drafts = player.drafts.propose(moment, left);
  const spent = truth.pass(route, 1 + drafts, context, 1 + drafts, runs);
  const accepted = player.drafts.accept(moment, drafts);
  const ms = seePass(player, truth, route, 1 + drafts, context, 1 + drafts);
  player.drafts.learn({ drafted: drafts, accepted, ms });
  return { spent, tokens: truth.tripTokens(drafts) };
}

/** The loop has ended: its first token, and the mean of the others. */
export function seeLoopEnd(
  { paces }: PlayerState,
  { legs: [only, ...others] }: Route,
  untold: LoopCalls,
): void {
  const [first, ...rest] = untold;
  if (only === undefined || others.length > 0 || first === undefined) return;
  paces[only.place].learn(only.span, first.rows, first.ms);
  const mean = rest.reduce((sum, { ms }) => sum + ms, 0) / Math.max(1, rest.length);
  for (const _ of rest) paces[only.place].learn(only.span, 1, mean);
}

function seeToken(
  { paces, random }: PlayerState,
  truth: Truth,
  { place, span }: Leg,
  context: number,
  runs: number,
  untold: LoopCalls,
): Spent {
  const work = truth.work(place, span, 1, context, 1, runs);
  const queueMs = place === 'endpoint' ? truth.moment.queueMs : 0;
  const seen = (work + queueMs) * computeNoise(random);
  if (place === 'endpoint') {
    paces.endpoint.learn(span, 1, seen);
    return { ms: work + queueMs, deviceMs: 0, endpointMs: work };
  }
  untold.push({ rows: 1, ms: seen });
  return { ms: work, deviceMs: work, endpointMs: 0 };
}

/** A call through all legs; its whole ms as seen. */
function seePass(
  { paces, random, held }: PlayerState,
  truth: Truth,
  route: Route,
  rows: number,
  context: number,
  picks: number,
): number {
  let all = 0;
  for (const { place, span } of route.legs) {
    const work = truth.work(place, span, rows, context, picks, held.runs);
    const seen = (work + (place === 'endpoint' ? truth.moment.queueMs : 0)) * computeNoise(random);
    paces[place].learn(span, rows, seen);
    all += seen;
    if (place === 'endpoint') all += truth.linkMs(span, rows) * linkNoise(random);
  }
  return all;
}
