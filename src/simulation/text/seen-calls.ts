/**
 * What paces and drafts learn from an answer's calls, seen with noise. As in a session, the device's own loop is told
 * of only when it has ended.
 */
import { evenPasses, type SeenPass } from '../../session/text/even-passes.ts';
import type { Leg, Route } from '../../session/text/route.ts';
import { isPiece } from '../../session/text/route-stages.ts';
import { computeNoise, linkNoise } from './noise.ts';
import type { PlayerState } from './player-state.ts';
import type { Spent, Truth } from './truth.ts';

/** Calls of the device's loop that nobody was told of yet. */
export type LoopCalls = SeenPass[];

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

/** One pass in one place, or one trip: what it truly takes, and the tokens that it brings on the mean. */
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
  const guesser = route.legs.length === 1 && only !== undefined ? only.place : 'trip';
  const drafts = player.drafts.propose(guesser, moment, left);
  const tokens = truth.tripTokens(drafts);
  if (route.legs.length === 1 && only !== undefined) {
    const { spent, ms } = seeLoopPass(player, truth, only, { rows: 1 + drafts, context, runs }, untold);
    player.drafts.learn(only.place, { drafted: drafts, accepted: player.drafts.accept(moment, drafts), ms });
    return { spent, tokens };
  }
  const spent = truth.pass(route, 1 + drafts, context, 1 + drafts, runs);
  const accepted = player.drafts.accept(moment, drafts);
  const ms = seePass(player, truth, route, 1 + drafts, context, 1 + drafts);
  player.drafts.learn('trip', { drafted: drafts, accepted, ms });
  return { spent, tokens };
}

/** The loop has ended: its first pass, and the others evened out. */
export function seeLoopEnd(
  { paces }: PlayerState,
  { legs: [only, ...others] }: Route,
  untold: LoopCalls,
): void {
  const [first, ...rest] = untold;
  if (only === undefined || others.length > 0 || first === undefined) return;
  paces[only.place].learn(only.span, first.rows, first.ms);
  for (const { rows, ms } of evenPasses(rest)) paces[only.place].learn(only.span, rows, ms);
}

function seeLoopPass(
  { paces, random }: PlayerState,
  truth: Truth,
  { place, span }: Leg,
  call: { readonly rows: number; readonly context: number; readonly runs: number },
  untold: LoopCalls,
): { readonly spent: Spent; readonly ms: number } {
  const { rows, context, runs } = call;
  const spent = truth.loopPass(place, rows, context, runs);
  const ms = spent.ms * computeNoise(random);
  if (place === 'endpoint') paces.endpoint.learn(span, rows, ms);
  else untold.push({ rows, ms });
  return { spent, ms };
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
    paces[place].learn(span, rows, seen, isPiece(rows, route.legs.length > 1));
    all += seen;
    if (place === 'endpoint') all += truth.linkMs(span, rows) * linkNoise(random);
  }
  return all;
}
