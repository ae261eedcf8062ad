/** What a player's places hold between requests: state of the text by block, sessions that are built, runs so far. */
import type { Span } from '../../core/span.ts';
import { livePart, type PlaceName, type Route } from '../../session/text/route.ts';

export interface Held {
  /** Positions of the text that each block holds. */
  readonly device: readonly number[];
  readonly endpoint: readonly number[];
  /** Blocks `0..built-1` can run here without being built. */
  readonly built: number;
  /** Calls that ran here: code is compiled well only after some. */
  readonly runs: number;
}

export function nothingHeld(blocks: number): Held {
  const none = Array.from({ length: blocks }, () => 0);
  return { device: none, endpoint: none, built: 0, runs: 0 };
}

export function filled(held: readonly number[], { from, to }: Span): number {
  let least = Infinity;
  for (let block = from; block < to; block += 1) least = Math.min(least, held[block] ?? 0);
  return least;
}

/** The text is another from `position` on. */
export function rewound(held: Held, position: number): Held {
  const cut = (all: readonly number[]): readonly number[] => all.map((one) => Math.min(one, position));
  return { ...held, device: cut(held.device), endpoint: cut(held.endpoint) };
}

/** A route ran up to `position`. */
export function afterRoute(held: Held, route: Route, position: number, calls = 0): Held {
  const all = { from: 0, to: held.device.length };
  const at = (place: PlaceName): readonly number[] => {
    const spans = livePart(route, place, all);
    if (spans.length === 0) return held[place];
    const isLive = (block: number): boolean => spans.some(({ from, to }) => from <= block && block < to);
    return held[place].map((one, block) => (isLive(block) ? position : one));
  };
  const here = route.legs.find(({ place }) => place === 'device');
  return {
    device: at('device'),
    endpoint: at('endpoint'),
    built: Math.max(held.built, here?.span.to ?? 0),
    runs: held.runs + (here === undefined ? 0 : calls),
  };
}
