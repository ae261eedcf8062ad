/**
 * Where a graph can be cut: the local minima of what must be sent, along an order in which every
 * value is made just before its use. No names, layer counts or sizes of any model are known here.
 */
import { type CrossingAnswer, solveCrossing } from './crossing.ts';
import type { ModelGraph } from './model-graph.ts';
import type { GraphTraits } from './traits.ts';

/** Between two minima the cost must rise by this factor, else they are one place with some noise. */
export const MIN_PROMINENCE = 1.25;

/**
 * A minimum dearer than this many times the median of all minima is a place where the model is wide
 * (inside a convolutional front end, say), not a narrow strip.
 */
export const MAX_COST_OVER_MEDIAN = 2;

/**
 * A cut behind one of these would part it from its readers. onnxruntime moves transposes through
 * the operators after them, which changes the order of sums: one such cut moved scores by 1e-5 in
 * float32 and, through quantisation, by more than 1 in 8-bit.
 */
const LAYOUT_OPS = new Set(['Flatten', 'Identity', 'Reshape', 'Squeeze', 'Transpose', 'Unsqueeze']);

/** Frame header share of one tensor; makes one tensor preferable to two of the same total. */
export const TENSOR_OVERHEAD_BYTES = 64;

export interface CutSearch {
  /** Nodes in late order; positions count nodes before the cut. */
  readonly graph: ModelGraph;
  readonly traits: GraphTraits;
  /** Bytes of a value at the reference extent; `Infinity` when unknown (sequences, optional outputs). */
  readonly bytes: (value: string) => number;
  /** Elements of it. Cuts are searched by elements, since a codec may shrink any activation. */
  readonly elements: (value: string) => number;
  /** Position at which each state input belongs; state before a cut stays before it. */
  readonly stateHome: ReadonlyMap<string, number>;
  /** State outputs: they stay where they are made. */
  readonly stateOutputs: ReadonlySet<string>;
  /** Values that each side makes for itself beside constants: what follows from a step's place alone. */
  readonly free?: ReadonlySet<string>;
  /** Values that must not cross although they are activations. */
  readonly kept?: ReadonlySet<string>;
}

export interface FoundCut extends CrossingAnswer {
  /** Number of nodes before the cut. */
  readonly position: number;
}

/** The crossing at one position of the order, cheapest by `size`. */
function crossingAt(search: CutSearch, position: number, size: (value: string) => number): CrossingAnswer {
  const { graph, traits, stateHome, stateOutputs } = search;
  const near = new Set<number>();
  for (let node = 0; node < position; node += 1) near.add(node);
  return solveCrossing({
    graph,
    near,
    wanted: [...graph.outputs.keys()].filter((name) => !stateOutputs.has(name)),
    cost: (value) => {
      if (traits.raw.has(value) || stateHome.has(value) || search.kept?.has(value) === true) return Infinity;
      return size(value) + TENSOR_OVERHEAD_BYTES;
    },
    recomputable: traits.recomputable,
    free: (value) =>
      traits.constant.has(value) ||
      search.free?.has(value) === true ||
      (stateHome.get(value) ?? -1) >= position,
  });
}

/** Legal cuts strictly inside the graph, in order. */
export function findCuts(search: CutSearch): FoundCut[] {
  const all: FoundCut[] = [];
  for (let position = 1; position < search.graph.nodes.length; position += 1) {
    all.push({ position, ...crossingAt(search, position, search.elements) });
  }
  const minima = dropWide(localMinima(search, all));
  return mergePeriods(search, dropLightBlocks(search, minima)).map(({ position }) => {
    return { position, ...crossingAt(search, position, search.bytes) };
  });
}

function dropWide(minima: readonly FoundCut[]): FoundCut[] {
  const costs = minima.map((cut) => cut.cost).sort((a, b) => a - b);
  const median = costs[Math.floor(costs.length / 2)] ?? 0;
  return minima.filter((cut) => cut.cost <= median * MAX_COST_OVER_MEDIAN);
}

/**
 * Minima that stand out by `MIN_PROMINENCE`. Of equal places the one that repeats least work, and of
 * those the last that is not a mere change of layout: activations stay with what they follow.
 */
function localMinima(search: CutSearch, places: readonly FoundCut[]): FoundCut[] {
  const isBetter = (place: FoundCut, best: FoundCut): boolean => {
    if (place.cost !== best.cost) return place.cost < best.cost;
    const last = search.graph.nodes[place.position - 1]?.opType ?? '';
    return place.recomputed.length <= best.recomputed.length && !LAYOUT_OPS.has(last);
  };
  const minima: FoundCut[] = [];
  let falling: FoundCut | undefined;
  let highest = Infinity;
  for (const place of places) {
    if (falling === undefined) {
      if (place.cost * MIN_PROMINENCE < highest) falling = place;
      else highest = Math.max(highest, place.cost);
    } else if (place.cost > falling.cost * MIN_PROMINENCE) {
      minima.push(falling);
      falling = undefined;
      highest = place.cost;
    } else if (isBetter(place, falling)) {
      falling = place;
    }
  }
  if (falling !== undefined && Number.isFinite(falling.cost)) minima.push(falling);
  return minima;
}

function marksBetween(search: CutSearch, from: number, to: number): string {
  return search.traits.mark
    .slice(from, to)
    .filter((mark) => mark !== '')
    .join('; ');
}

/** A block without a weight matrix (a closing norm, say) joins its neighbour. */
function dropLightBlocks(search: CutSearch, cuts: readonly FoundCut[]): FoundCut[] {
  const end = search.graph.nodes.length;
  const kept: FoundCut[] = [];
  for (const cut of cuts) {
    if (marksBetween(search, kept.at(-1)?.position ?? 0, cut.position) !== '') kept.push(cut);
  }
  while (kept.length > 0 && marksBetween(search, kept.at(-1)?.position ?? 0, end) === '') kept.pop();
  return kept;
}

/**
 * Layers often have several minima (after attention, after the feed-forward part). Where a pattern
 * of unlike blocks repeats, one period is one block: finer cuts cost sessions and gain nothing.
 */
function mergePeriods(search: CutSearch, cuts: readonly FoundCut[]): FoundCut[] {
  const bounds = [0, ...cuts.map((cut) => cut.position), search.graph.nodes.length];
  const marks = bounds.slice(1).map((to, index) => marksBetween(search, bounds[index] ?? 0, to));
  const dropped = new Set<number>();
  for (let start = 0; start < marks.length; ) {
    const { period, repeats } = longestRepeat(marks, start);
    for (let block = start + 1; block < start + period * repeats; block += 1) {
      // Cut i lies before block i + 1.
      if ((block - start) % period !== 0) dropped.add(block - 1);
    }
    start += period * repeats;
  }
  return cuts.filter((_, index) => !dropped.has(index));
}

/** The repeat at `start` that covers most blocks; period 1 when nothing repeats. */
function longestRepeat(marks: readonly string[], start: number): { period: number; repeats: number } {
  let best = { period: 1, repeats: 1 };
  for (let period = 1; start + 2 * period <= marks.length; period += 1) {
    let repeats = 1;
    while (samePeriod(marks, start, start + repeats * period, period)) repeats += 1;
    if (repeats > 1 && repeats * period > best.repeats * best.period) best = { period, repeats };
  }
  return best;
}

function samePeriod(marks: readonly string[], first: number, second: number, period: number): boolean {
  if (second + period > marks.length) return false;
  for (let offset = 0; offset < period; offset += 1) {
    if (marks[first + offset] !== marks[second + offset]) return false;
  }
  return true;
}
