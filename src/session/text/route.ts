/** A plan for text as the legs that its rows pass, one after the other; pure. */
import type { Span } from '../../core/span.ts';
import { IsthmusError } from '../../errors.ts';
import type { LoopStage, Manifest } from '../../package/manifest.ts';
import type { TextPlan } from './types.ts';

export type PlaceName = 'device' | 'endpoint';

export interface Leg {
  readonly place: PlaceName;
  readonly span: Span;
}

export interface Route {
  /** `local`, `remote`, `split@7`, `u@2-28`. */
  readonly id: string;
  /** Tile the model's blocks, first to last; neighbours lie at different places. */
  readonly legs: readonly Leg[];
}

/** The loop of a model that is one, which is what text needs. Throws `unsupported-model`. */
export function textStage(manifest: Manifest): LoopStage {
  const [stage, ...others] = manifest.stages;
  if (stage?.kind !== 'loop' || others.length > 0 || stage.context.length > 0) {
    throw new IsthmusError('unsupported-model', `'${manifest.name}' is not a model that continues text`);
  }
  return stage;
}

/** Throws `bad-option` for cuts that the model does not have. */
export function routeOf(plan: Exclude<TextPlan, 'auto'>, blocks: number): Route {
  if (plan === 'local') return { id: 'local', legs: [leg('device', 0, blocks)] };
  if (plan === 'remote') return { id: 'remote', legs: [leg('endpoint', 0, blocks)] };
  const { cut, until = blocks } = plan;
  const inModel = (at: number): boolean => Number.isSafeInteger(at) && at >= 0 && at <= blocks;
  if (!inModel(cut) || !inModel(until) || until < cut) {
    throw new IsthmusError(
      'bad-option',
      `the model has ${blocks} blocks and cannot be cut at ${cut}${until === blocks ? '' : ` and ${until}`}`,
      { details: { cut, until, blocks } },
    );
  }
  if (cut === until || cut === blocks) return routeOf('local', blocks);
  if (until === blocks) {
    if (cut === 0) return routeOf('remote', blocks);
    return { id: `split@${cut}`, legs: [leg('device', 0, cut), leg('endpoint', cut, blocks)] };
  }
  const head = cut === 0 ? [] : [leg('device', 0, cut)];
  return {
    id: `u@${cut}-${until}`,
    legs: [...head, leg('endpoint', cut, until), leg('device', until, blocks)],
  };
}

export function usesPlace(route: Route, place: PlaceName): boolean {
  return route.legs.some((one) => one.place === place);
}

export function sharesPlace(a: Route, b: Route): boolean {
  return a.legs.some(({ place }) => usesPlace(b, place));
}

/** What leaves the device: names of tensors, and `token ids` where the endpoint sees prompt or answer. */
export function leavesOf(manifest: Manifest, route: Route): readonly string[] {
  const blocks = manifest.blocks.length;
  return route.legs.flatMap(({ place, span }) => {
    if (place === 'device') return [];
    const crossing = manifest.cuts[span.from]?.crossings.step?.sent.map(({ name }) => name) ?? [];
    const seesPrompt = span.from === 0;
    const makesAnswer = span.to === blocks;
    return [
      ...(seesPrompt ? ['token ids of prompt and answer'] : crossing),
      ...(makesAnswer && !seesPrompt ? ['token ids of the answer'] : []),
    ];
  });
}

/** Blocks of `span` at `place` that a route keeps up to date while it runs, as parts of `span`. */
export function livePart(route: Route, place: PlaceName, span: Span): readonly Span[] {
  return route.legs.flatMap((one) => {
    const from = Math.max(one.span.from, span.from);
    const to = Math.min(one.span.to, span.to);
    return one.place === place && from < to ? [{ from, to }] : [];
  });
}

/** What is left of `span` without `parts`, which lie in it in order. */
export function without(span: Span, parts: readonly Span[]): readonly Span[] {
  const left: Span[] = [];
  let from = span.from;
  for (const part of parts) {
    if (from < part.from) left.push({ from, to: part.from });
    from = part.to;
  }
  return from < span.to ? [...left, { from, to: span.to }] : left;
}

function leg(place: PlaceName, from: number, to: number): Leg {
  return { place, span: { from, to } };
}
