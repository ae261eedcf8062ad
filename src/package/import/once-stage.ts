/** Cuts of a graph that runs once per request. */
import type { TensorMap } from '../../core/tensor.ts';
import { IsthmusError } from '../../errors.ts';
import { findCuts } from '../../graph/cuts.ts';
import { toModelGraph } from '../../graph/model-graph.ts';
import type { OnnxModel } from '../../graph/onnx-types.ts';
import { sortLate } from '../../graph/order.ts';
import { graphTraits } from '../../graph/traits.ts';
import { activations, crossingTensor, toCrossing } from './crossings.ts';
import {
  affineThrough,
  concreteDims,
  graphInput,
  inputDtype,
  type Measured,
  measure,
  nodeWork,
  type Probe,
  type Prober,
  probeTensor,
  probeValues,
} from './prober.ts';
import type { StageParts } from './stage-parts.ts';
import { tokenInput } from './token-input.ts';

/** Extents to try, smallest first: tokens and patches start low, audio samples high. */
const PROBE_EXTENTS = [16, 64, 256, 1024, 4096, 16_384, 65_536];

/** The second probe is this much longer, to tell what grows from what does not. */
const PROBE_GROWTH = 3;

/**
 * Multiples of the smallest accepted extent to measure at: at realistic extents attention matrices
 * have realistic sizes, but learned positions may end before the largest multiple.
 */
const PROBE_SCALES = [16, 4, 1];

export interface OnceProbes {
  readonly parts: StageParts;
  /** Outputs at the two extents: the context of a stage that follows. */
  readonly outputs: readonly [TensorMap, TensorMap];
}

export async function onceStage(model: OnnxModel, prober: Prober): Promise<OnceProbes> {
  const sorted = sortLate(model);
  const graph = toModelGraph(sorted);
  const extent = extentOf(sorted);
  const [small, large] = await probeTwice(sorted, prober);
  const measured = measure(small, large);
  const tokens = tokenInput(graph)?.value;
  const raw = new Set(
    [...graph.inputs.values()]
      .filter((value) => value === tokens || inputDtype(value).startsWith('float'))
      .map((value) => value.name),
  );
  const traits = graphTraits(graph, raw, nodeWork(sorted, measured));
  const found = findCuts({
    graph,
    traits,
    bytes: (value) => measured.get(value)?.reference ?? Infinity,
    elements: (value) => measured.get(value)?.elements ?? Infinity,
    stateHome: new Map(),
    stateOutputs: new Set(),
  });
  const lossy = new Set([...activations(graph, traits), ...raw]);
  const first = {
    sent: [...graph.inputs.keys()].map((name) => crossingTensor(name, measured, lossy)),
    recomputed: [],
  };
  const notes = found.length === 0 ? ['no legal cut was found: the graph is one block'] : [];
  return {
    parts: {
      graphs: { once: sorted },
      blocks: found.length + 1,
      cuts: [
        { once: first },
        ...found.map((cut) => ({ once: toCrossing(cut.sent, cut.recomputed, measured, lossy) })),
      ],
      states: [],
      inputs: [...graph.inputs.values()].map(graphInput),
      outputs: [...graph.outputs.keys()].map((name) => {
        const { dtype, dims } = measuredOutput(name, measured);
        return { name, dtype, dims };
      }),
      describe: { kind: 'once', extent, rows: rowsOf(sorted, small, large) },
      notes,
    },
    outputs: [outputsOf(sorted, small), outputsOf(sorted, large)],
  };
}

function measuredOutput(name: string, measured: ReadonlyMap<string, Measured>): Measured {
  const value = measured.get(name);
  if (value === undefined) {
    throw new IsthmusError(
      'unsupported-model',
      `the output '${name}' is not a tensor that the model computes`,
    );
  }
  return value;
}

/** The first symbolic extent beside the batch is what a request's size is measured in. */
function extentOf(model: OnnxModel): { input: string; axis: number } {
  for (const value of model.graph.inputs) {
    const axis = (value.dims ?? []).findIndex((dim, index) => index > 0 && typeof dim !== 'number');
    if (axis > 0) return { input: value.name, axis };
  }
  return { input: model.graph.inputs[0]?.name ?? '', axis: 0 };
}

/** Probes at two extents, well above the smallest that the graph accepts. */
async function probeTwice(model: OnnxModel, prober: Prober): Promise<[Probe, Probe]> {
  let failure: unknown;
  for (const extent of PROBE_EXTENTS) {
    if ((await tryProbe(model, prober, extent)) instanceof Error) continue;
    for (const scale of PROBE_SCALES) {
      const small = await tryProbe(model, prober, extent * scale);
      const large = await tryProbe(model, prober, extent * scale * PROBE_GROWTH);
      if (!(small instanceof Error) && !(large instanceof Error)) return [small, large];
      failure = large;
    }
  }
  throw new IsthmusError('unsupported-model', 'the graph runs at none of the extents that were tried', {
    cause: failure,
    details: { extents: PROBE_EXTENTS },
  });
}

/** A graph may refuse an extent (too short for a convolution, beyond its positions): that is an answer. */
async function tryProbe(model: OnnxModel, prober: Prober, extent: number): Promise<Probe | Error> {
  try {
    return await probeAt(model, prober, extent);
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

function probeAt(model: OnnxModel, prober: Prober, extent: number): Promise<Probe> {
  const feeds: Record<string, ReturnType<typeof probeTensor>> = {};
  for (const value of model.graph.inputs) {
    feeds[value.name] = probeTensor(
      inputDtype(value),
      concreteDims(value, () => extent),
    );
  }
  return probeValues(prober, model, feeds, extent);
}

function outputsOf(model: OnnxModel, probe: Probe): TensorMap {
  return Object.fromEntries(
    model.graph.outputs.flatMap(({ name }) => {
      const value = probe.values[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

/** Rows of the first output: its second axis where it varies, else one. */
function rowsOf(model: OnnxModel, small: Probe, large: Probe): { base: number; perUnit: number } {
  const name = model.graph.outputs[0]?.name ?? '';
  const rows = (probe: Probe): number => probe.values[name]?.dims[1] ?? 1;
  return affineThrough(small.extent, rows(small), large.extent, rows(large));
}
