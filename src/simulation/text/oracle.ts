/** Who knows the truth: the least time that any route, or any move from one to another, takes from what is held. */
import { forbids } from '../../session/text/predict-route.ts';
import { type Route, routeOf } from '../../session/text/route.ts';
import { NEVER, type Played, playMove, playRoute } from './forced.ts';
import { afterRoute, type Held } from './held.ts';
import type { Truth } from './truth.ts';

/** Routes that may begin what another takes over: the best ones are enough, for the rest lose time from the start. */
const BEGINNERS = 3;

export interface Known {
  readonly played: Played;
  readonly held: Held;
}

/** Every route that the goal allows, cut by cut. */
export function routesOf({ world, blocks }: Truth): readonly Route[] {
  const all = Array.from({ length: blocks + 1 }, (_, cut) => routeOf({ cut }, blocks));
  return all.filter((route) => forbids(world.goal, route, world.manifest) === undefined);
}

export function bestKnown(truth: Truth, routes: readonly Route[], held: Held): Known {
  const { length, tokens } = truth.moment;
  const alone = routes
    .map((route) => ({ route, after: route, played: playRoute(truth, route, held) }))
    .filter(({ played }) => played.ms < Infinity);
  const beginners = [...alone]
    .sort((a, b) => a.played.ttftMs - b.played.ttftMs)
    .slice(0, BEGINNERS)
    .concat(alone.filter(({ route }) => route.legs.length === 1));
  let best = alone.reduce<(typeof alone)[number] | undefined>(
    (least, one) => (least === undefined || one.played.ms < least.played.ms ? one : least),
    undefined,
  );
  for (const { route: begin, played: whole } of beginners) {
    for (const { route: after } of alone) {
      // No time is won at whoever is ready only when the beginner is done.
      if (after === begin || truth.readyAt(after, held) >= Math.min(whole.ms, best?.played.ms ?? Infinity))
        continue;
      const played = playMove(truth, begin, after, held);
      if (best === undefined || played.ms < best.played.ms) best = { route: begin, after, played };
    }
  }
  if (best === undefined) return { played: NEVER, held };
  const begun = best.route === best.after ? held : afterRoute(held, best.route, length, 0);
  return { played: best.played, held: afterRoute(begun, best.after, length + tokens - 1, tokens) };
}
