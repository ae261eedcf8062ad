/** Every value of a step at some places of the text: what varies with rows, with positions, with nothing. */
import { elementCount, type TensorMap } from '../../core/tensor.ts';
import { IsthmusError } from '../../errors.ts';
import { toModelGraph } from '../../graph/model-graph.ts';
import type { OnnxModel } from '../../graph/onnx-types.ts';
import { graphTraits } from '../../graph/traits.ts';
import type { StepFeed } from '../manifest.ts';
import type { LoopParts } from './classify.ts';
import { affineThrough, inputDtype, type Measured, type Prober, probeNamed, probeTensor } from './prober.ts';
import { placeFeeds, stepDims } from './step-place.ts';

/** Positions already in the state at the two probes of a step. */
const PAST_EXTENTS = [7, 31] as const;

/** Rows of a third probe, of models that take several at once. */
const MANY_ROWS = 3;

export interface StepProbe {
  readonly past: number;
  readonly rows: number;
  readonly values: TensorMap;
}

/** What a step is given beside tokens, state and place. */
export interface GivenTensors {
  /** Outputs of the stage before, by the input that takes them. */
  readonly context: TensorMap;
  /** Values of the init graph. */
  readonly init: TensorMap;
}

/**
 * @returns one row at two pasts; for models without context also several rows at the first past
 */
export async function probeSteps(
  loop: LoopParts,
  model: OnnxModel,
  feeds: readonly StepFeed[],
  given: GivenTensors,
  prober: Prober,
): Promise<StepProbe[]> {
  const [short, long] = PAST_EXTENTS;
  const places = [
    { past: short, rows: 1 },
    { past: long, rows: 1 },
    ...(loop.context.length === 0 ? [{ past: short, rows: MANY_ROWS }] : []),
  ];
  const graph = toModelGraph(model);
  // Weights in another form need not be looked at, and would be copied for each probe.
  const constant = loop.context.length === 0 ? graphTraits(graph, new Set(), []).constant : new Set<string>();
  const names = [...graph.producer.keys()].filter((name) => !constant.has(name));
  const all = places.map((place) => stepFeedsAt(loop, model, feeds, place, given));
  const seen = await probeNamed(prober, model, all, names);
  return places.map((place, index) => ({ ...place, values: seen[index] ?? {} }));
}

function stepFeedsAt(
  loop: LoopParts,
  model: OnnxModel,
  feeds: readonly StepFeed[],
  place: { readonly past: number; readonly rows: number },
  { context, init }: GivenTensors,
): TensorMap {
  const all: Record<string, TensorMap[string]> = {};
  const byPlace = placeFeeds(loop, feeds, { ...place, picked: place.rows });
  for (const value of toModelGraph(model).inputs.values()) {
    const kept = loop.initStates.find((pair) => pair.input.name === value.name);
    const extent = value.name === loop.tokens.name ? place.rows : place.past;
    all[value.name] =
      (kept === undefined ? context[value.name] : init[kept.output.name]) ??
      (loop.context.length === 0 ? byPlace[value.name] : undefined) ??
      probeTensor(inputDtype(value), stepDims(value, loop.tokens, extent));
  }
  return all;
}

/** Puts probes together: what varies becomes `null`, bytes become an affine function of the rows. */
export function measureSteps(probes: readonly StepProbe[]): Map<string, Measured> {
  const [first, reference] = probes;
  if (first === undefined || reference === undefined) {
    throw new IsthmusError('internal', 'a step is measured at two places at least');
  }
  const many = probes.find((probe) => probe.rows !== first.rows);
  const measured = new Map<string, Measured>();
  for (const [name, { dims, bytes }] of Object.entries(first.values)) {
    const others = probes.flatMap((probe) => probe.values[name] ?? []);
    const b = reference.values[name];
    if (b === undefined || others.some((other) => other.dims.length !== dims.length)) continue;
    const wide = many?.values[name];
    measured.set(name, {
      dtype: b.dtype,
      dims: dims.map((dim, axis) => (others.every((other) => other.dims[axis] === dim) ? dim : null)),
      // Of a model that takes one row at a time, what is seen at the larger past is a row's size.
      bytes:
        many === undefined || wide === undefined
          ? { base: 0, perUnit: b.bytes.byteLength }
          : affineThrough(first.rows, bytes.byteLength, many.rows, wide.bytes.byteLength),
      reference: b.bytes.byteLength,
      elements: elementCount(b.dims),
    });
  }
  return measured;
}
