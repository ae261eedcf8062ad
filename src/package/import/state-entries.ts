/** Where state lives and how a step changes it. */
import { IsthmusError } from '../../errors.ts';
import type { ModelGraph } from '../../graph/model-graph.ts';
import type { StateEntry } from '../manifest.ts';
import type { LoopParts, StatePair } from './classify.ts';
import type { ImportHints } from './hints.ts';
import { inputDtype, type Measured } from './prober.ts';
import { continuedInput } from './state-pairs.ts';
import type { StepProbe } from './step-probes.ts';

/**
 * Position of each state input: where its successor is made, or for read-only state where it is first
 * read for more than its shape.
 */
export function stateHomes(loop: LoopParts, graph: ModelGraph): Map<string, number> {
  const homes = new Map<string, number>();
  for (const pair of loop.stepStates) {
    homes.set(pair.input.name, graph.producer.get(pair.output.name) ?? 0);
  }
  for (const pair of loop.initStates) {
    const reader = graph.nodes.findIndex(
      (node, index) => node.opType !== 'Shape' && graph.reads[index]?.includes(pair.input.name) === true,
    );
    homes.set(pair.input.name, Math.max(reader, 0));
  }
  return homes;
}

export interface StatePlaces {
  readonly homes: ReadonlyMap<string, number>;
  readonly blockOf: (position: number) => number;
  readonly measuredDims: (pair: StatePair) => Measured['dims'] | undefined;
}

/** @param graph the step graph @param probes what its values were @param hints of whoever built it */
export function stateEntries(
  loop: LoopParts,
  graph: ModelGraph,
  probes: readonly StepProbe[],
  { homes, blockOf, measuredDims }: StatePlaces,
  hints: ImportHints | undefined,
): StateEntry[] {
  const entry =
    (origin: StateEntry['origin']) =>
    (pair: StatePair): StateEntry => {
      const isShared = hints?.growth === 'shared' || growsInPlace(graph, pair);
      const axis = origin === 'step' ? growingAxis(loop, pair, probes, isShared) : undefined;
      const dims = stateDims(pair, measuredDims(pair));
      return {
        input: pair.input.name,
        output: pair.output.name,
        origin,
        dtype: inputDtype(pair.input),
        dims: dims.map((dim, at) => (at === axis ? null : dim)),
        block: blockOf(homes.get(pair.input.name) ?? 0),
        ...(axis === undefined
          ? { growth: 'replace' }
          : { growth: isShared ? ('shared' as const) : ('append' as const), axis }),
      };
    };
  return [...loop.stepStates.map(entry('step')), ...loop.initStates.map(entry('init'))];
}

/** Rows behind the last one that a shared buffer always has; the runtime keeps as many free. */
const SPARE_ROWS = 1;

/**
 * The axis along which each call adds its rows; `undefined` where the extents stay. A buffer that is
 * written in place may be filled a row beyond the positions (a kernel's padding). State that does
 * something else (a window that slides once it is full, say) cannot be cut back or fed in part.
 */
function growingAxis(
  loop: LoopParts,
  pair: StatePair,
  probes: readonly StepProbe[],
  isShared: boolean,
): number | undefined {
  const rank = pair.input.dims?.length ?? 0;
  const grown = Array.from({ length: rank }, (_, axis) =>
    probes.map(({ values, rows }) => {
      const [before, after] = [values[pair.input.name]?.dims[axis], values[pair.output.name]?.dims[axis]];
      const by = before === undefined || after === undefined ? Number.NaN : after - before;
      return { by, spare: by - rows };
    }),
  );
  const axis = grown.findIndex((seen) => {
    const spare = seen[0]?.spare ?? Number.NaN;
    const isSpare = spare >= 0 && spare <= (isShared ? SPARE_ROWS : 0);
    return isSpare && seen.every((probe) => probe.spare === spare);
  });
  const others = grown.filter((_, at) => at !== axis);
  if (others.every((seen) => seen.every(({ by }) => by === 0))) return axis < 0 ? undefined : axis;
  if (loop.context.length > 0) return undefined;
  throw new IsthmusError(
    'unsupported-model',
    `the state '${pair.input.name}' is neither added to nor replaced by a step: its extents change in another way`,
    { details: { input: pair.input.name, output: pair.output.name } },
  );
}

/** State that only its attention node touches, which writes where it reads if it may. */
function growsInPlace(graph: ModelGraph, pair: StatePair): boolean {
  const direct = continuedInput(graph, pair.output.name);
  if (direct?.input !== pair.input.name || direct.node.opType !== 'GroupQueryAttention') return false;
  const readers = graph.nodes.filter((_, index) => graph.reads[index]?.includes(pair.input.name) === true);
  return readers.length === 1;
}

/** Fixed extents are those that the model declares or, beside the batch, that never moved. */
function stateDims(pair: StatePair, measured: Measured['dims'] | undefined): (number | null)[] {
  return (pair.input.dims ?? []).map((dim, axis) => {
    if (typeof dim === 'number') return dim;
    return axis === 0 ? 1 : (measured?.[axis] ?? null);
  });
}
