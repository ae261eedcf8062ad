/**
 * Step graphs that yield only the rows which a run adds to `shared` state. onnxruntime-node copies every
 * output into memory of JavaScript's, a pre-allocated one too: with whole buffers as outputs a token of a
 * 135M model at 1,024 positions would copy 47 MB, more than its arithmetic takes. The new rows are a
 * thousandth of that.
 */
import type { OnnxModel, OnnxNode, OnnxTensor } from '../graph/onnx-types.ts';
import { dataTypeOf } from '../graph/onnx-types.ts';
import type { StateEntry } from '../package/manifest.ts';
import { positionAxis } from './state-rows.ts';

/** Inputs, int64 `[1]`: the new rows are `[from, to)` of what the graph made. */
export const ROWS_FROM = 'isthmus.rows.from';
export const ROWS_TO = 'isthmus.rows.to';

/** Name of the output with the rows that a run adds to an entry. */
export function rowsOutput(entry: StateEntry): string {
  return `${entry.output}.rows`;
}

/** The model with `rowsOutput` in place of the output of each `shared` entry; others are left. */
export function yieldRows(model: OnnxModel, entries: readonly StateEntry[]): OnnxModel {
  const { graph } = model;
  const shared = new Map(
    entries.flatMap((entry) => (entry.growth === 'shared' ? [[entry.output, entry] as const] : [])),
  );
  const changed = graph.outputs.filter(({ name }) => shared.has(name));
  if (changed.length === 0) return model;
  const axes = new Set([...shared.values()].map(positionAxis));
  const slices = changed.flatMap(({ name }) => {
    const entry = shared.get(name);
    return entry === undefined ? [] : [slice(entry)];
  });
  return {
    ...model,
    graph: {
      ...graph,
      nodes: [...graph.nodes, ...slices],
      initializers: [...graph.initializers, ...[...axes].map(axisTensor)],
      inputs: [
        ...graph.inputs,
        ...[ROWS_FROM, ROWS_TO].map((name) => ({ name, elemType: dataTypeOf('int64'), dims: [1] })),
      ],
      outputs: graph.outputs.map((output) => {
        const entry = shared.get(output.name);
        if (entry === undefined) return output;
        const name = rowsOutput(entry);
        const axis = positionAxis(entry);
        const dims = entry.dims.map((dim, at) => (at === axis || dim === null ? `${name}_${at}` : dim));
        return { name, elemType: dataTypeOf(entry.dtype), dims };
      }),
    },
  };
}

function axisName(axis: number): string {
  return `isthmus.rows.axis.${axis}`;
}

function axisTensor(axis: number): OnnxTensor {
  const data = new Uint8Array(BigInt64Array.of(BigInt(axis)).buffer);
  return { name: axisName(axis), dataType: dataTypeOf('int64'), dims: [1], data, rest: [] };
}

function slice(entry: StateEntry): OnnxNode {
  const name = rowsOutput(entry);
  return {
    name,
    opType: 'Slice',
    domain: '',
    inputs: [entry.output, ROWS_FROM, ROWS_TO, axisName(positionAxis(entry))],
    outputs: [name],
    attributes: [],
    rest: [],
  };
}
