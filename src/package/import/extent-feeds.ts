/**
 * Exports read how many rows there are, and how many positions before them, off whatever tensor is at
 * hand: the tokens, the first layer's state. Then masks and positions of every layer hang on the first
 * layer and would cross every cut. Both numbers are known at each side, so the shape of such a tensor is
 * made from feeds instead. What a shape is made of is measured, not assumed.
 */
import { int64Tensor } from '../../core/tensor.ts';
import { prune, withGraph } from '../../graph/model-graph.ts';
import {
  dataTypeOf,
  type OnnxModel,
  type OnnxNode,
  type OnnxTensor,
  type OnnxValue,
} from '../../graph/onnx-types.ts';
import type { StepFeed } from '../manifest.ts';
import type { LoopParts } from './classify.ts';
import type { StepProbe } from './step-probes.ts';

/** An extent: a fixed number, the number of rows, or of positions before them. */
type Extent = number | 'rows' | 'past';

const INT64 = dataTypeOf('int64');

/** AttributeProto.type (field 20) of a whole number. */
const INT_TYPE = Uint8Array.of(0xa0, 0x01, 2);

const NAMES = { positions: 'isthmus.positions', past: 'isthmus.past', rows: 'isthmus.rows' } as const;

export interface ExtentFeeds {
  readonly model: OnnxModel;
  /** All feeds, new ones included. */
  readonly feeds: readonly StepFeed[];
}

/** @param probes what every value was at some places of the text, at least two pasts and two rows */
export function feedExtents(
  model: OnnxModel,
  loop: LoopParts,
  feeds: readonly StepFeed[],
  probes: readonly StepProbe[],
): ExtentFeeds {
  const states = new Set(loop.stepStates.map((pair) => pair.input.name));
  const given = new Set(feeds.map((feed) => feed.input));
  const made = new ExtentNodes(feeds);
  const nodes: OnnxNode[] = [];
  for (const node of model.graph.nodes) {
    const [source = ''] = node.inputs;
    const extents =
      node.opType === 'Shape' && node.domain === '' && !given.has(source)
        ? extentsOf(source, probes, states.has(source))
        : undefined;
    const [output] = node.outputs;
    if (extents === undefined || output === undefined) nodes.push(node);
    else nodes.push(...made.shape(sliced(node, extents), output));
  }
  const { graph } = model;
  const changed = withGraph(model, {
    nodes: [...made.first, ...nodes],
    initializers: [...graph.initializers, ...made.initializers],
    inputs: [...graph.inputs, ...made.inputs],
  });
  return { model: made.isEmpty ? model : prune(changed), feeds: [...feeds, ...made.feeds] };
}

/** `undefined` where an extent is something else, e.g. all positions so far: that stays as it is. */
function extentsOf(name: string, probes: readonly StepProbe[], isState: boolean): Extent[] | undefined {
  const seen = probes.map((probe) => probe.values[name]?.dims);
  const extents: Extent[] = [];
  for (let axis = 0; axis < (seen[0]?.length ?? 0); axis += 1) {
    const [first = 0] = seen[0]?.slice(axis) ?? [];
    const every = (is: (probe: StepProbe) => number): boolean =>
      probes.every((probe, index) => seen[index]?.[axis] === is(probe));
    if (every(() => first)) extents.push(first);
    else if (every((probe) => probe.rows)) extents.push('rows');
    else if (isState && every((probe) => probe.past)) extents.push('past');
    else return undefined;
  }
  return extents.length === 0 ? undefined : extents;
}

/** `Shape` may yield a part of the extents (opset 15). */
function sliced(node: OnnxNode, extents: readonly Extent[]): readonly Extent[] {
  const at = (name: string): number | undefined => {
    const int = node.attributes.find((attribute) => attribute.name === name)?.int;
    return int === undefined ? undefined : Number(int);
  };
  return extents.slice(at('start') ?? 0, at('end'));
}

/** Nodes that make shapes from feeds; what several need is made once. */
class ExtentNodes {
  readonly first: OnnxNode[] = [];
  readonly initializers: OnnxTensor[] = [];
  readonly inputs: OnnxValue[] = [];
  readonly feeds: StepFeed[] = [];
  readonly #known: readonly StepFeed[];
  readonly #made = new Map<string, string>();
  isEmpty = true;

  constructor(known: readonly StepFeed[]) {
    this.#known = known;
  }

  shape(extents: readonly Extent[], output: string): OnnxNode[] {
    this.isEmpty = false;
    if (extents.every((extent) => typeof extent === 'number')) {
      this.#constant(output, extents);
      return [];
    }
    const parts = extents.map((extent) => this.#part(extent));
    const axis = { name: 'axis', graphs: [], ints: [], int: 0n, rest: [INT_TYPE] };
    return [{ ...made('Concat', parts, output), attributes: [axis] }];
  }

  #part(extent: Extent): string {
    const key = String(extent);
    const known = this.#made.get(key);
    if (known !== undefined) return known;
    const name = this.#make(extent);
    this.#made.set(key, name);
    return name;
  }

  #make(extent: Extent): string {
    if (typeof extent === 'number') return this.#constant(`isthmus.extent.${extent}`, [extent]);
    if (extent === 'past') return this.#feed('past', NAMES.past, []);
    const known = this.#known.find((feed) => feed.kind === 'positions');
    const positions = known?.input ?? this.#feed('positions', NAMES.positions, [1, 'rows']);
    const last = this.#constant(`${NAMES.rows}.axis`, [(known?.rank ?? 2) - 1]);
    this.first.push(made('Shape', [positions], `${NAMES.rows}.all`));
    this.first.push(made('Gather', [`${NAMES.rows}.all`, last], NAMES.rows));
    return NAMES.rows;
  }

  /** A number is declared as a list of one, which `Concat` takes. */
  #feed(kind: StepFeed['kind'], input: string, dims: NonNullable<OnnxValue['dims']>): string {
    const axes = dims.length === 0 ? [1] : dims;
    this.inputs.push({ name: input, elemType: INT64, dims: axes });
    this.feeds.push({ input, kind, dtype: 'int64', rank: axes.length });
    return input;
  }

  #constant(name: string, values: readonly number[]): string {
    const { bytes, dims } = int64Tensor(values, [values.length]);
    this.initializers.push({ name, dataType: INT64, dims, data: bytes, rest: [] });
    return name;
  }
}

function made(opType: string, inputs: readonly string[], output: string): OnnxNode {
  return { name: output, opType, domain: '', inputs, outputs: [output], attributes: [], rest: [] };
}
