/**
 * What the inputs and outputs of an ONNX file are for, read from its structure: which input takes
 * token ids, which pairs of input and output carry state from step to step, what is left.
 */

import { IsthmusError } from '../../errors.ts';
import { type ModelGraph, prune, toModelGraph } from '../../graph/model-graph.ts';
import { dtypeOf, type OnnxModel, type OnnxValue } from '../../graph/onnx-types.ts';
import { branchInputs, constantsToInitializers, takeBranch } from '../../graph/specialise.ts';
import { graphTraits } from '../../graph/traits.ts';

export interface StatePair {
  readonly input: OnnxValue;
  readonly output: OnnxValue;
}

export interface LoopParts {
  readonly kind: 'loop';
  /** One step with state; outputs are the logits and the step's state. */
  readonly step: OnnxModel;
  /** Fills the read-only state from the context; absent when there is none. */
  readonly init?: OnnxModel;
  readonly tokens: OnnxValue;
  readonly logits: OnnxValue;
  readonly context: readonly OnnxValue[];
  /** State that each step extends. */
  readonly stepStates: readonly StatePair[];
  /** State that `init` fills and steps only read. */
  readonly initStates: readonly StatePair[];
  /** Boolean input that chose between the branches, and the value it has in a step. */
  readonly branch?: { readonly input: string; readonly inStep: boolean };
}

export interface OnceParts {
  readonly kind: 'once';
  readonly model: OnnxModel;
}

/** Splits a file into parts. A file with neither tokens nor state runs once per request. */
export function classify(model: OnnxModel): OnceParts | LoopParts {
  const branches = branchInputs(model);
  const [branch] = branches;
  if (branches.length > 1) {
    throw new IsthmusError(
      'unsupported-model',
      `the model chooses between branches by several inputs (${branches.join(', ')}); export one of them fixed`,
    );
  }
  if (branch === undefined) {
    const flat = prune(constantsToInitializers(model));
    return loopParts(flat, undefined, undefined) ?? { kind: 'once', model: flat };
  }
  const taken = takeBranch(model, branch, true);
  const other = takeBranch(model, branch, false);
  // The branch that reads more of the inputs is the one that goes on from state.
  const inStep = taken.graph.inputs.length >= other.graph.inputs.length;
  const parts = loopParts(inStep ? taken : other, inStep ? other : taken, { input: branch, inStep });
  if (parts === undefined) {
    throw new IsthmusError(
      'unsupported-model',
      `the branches on '${branch}' carry no state; export the model without the If`,
    );
  }
  return parts;
}

function loopParts(
  step: OnnxModel,
  first: OnnxModel | undefined,
  branch: LoopParts['branch'],
): LoopParts | undefined {
  const graph = toModelGraph(step);
  const pairs = pairStates(step);
  const tokens = tokenInput(graph);
  if (tokens === undefined || pairs.length === 0) return undefined;
  const constant = graphTraits(graph, new Set(), []).constant;
  const isKept = (pair: StatePair): boolean =>
    constant.has(pair.output.name) || passesThrough(graph, pair.input.name, pair.output.name);
  const initStates = pairs.filter(isKept);
  const stepStates = pairs.filter((pair) => !isKept(pair));
  const stateNames = new Set(pairs.flatMap((pair) => [pair.input.name, pair.output.name]));
  const logits = logitsOutput(step, stateNames);
  const stepModel = prune(step, [logits, ...stepStates.map((pair) => pair.output)]);
  const init =
    first === undefined || initStates.length === 0
      ? undefined
      : prune(
          first,
          initStates.map((pair) => pair.output),
        );
  if (initStates.length > 0 && init === undefined) {
    throw new IsthmusError('unsupported-model', 'some state is read but nothing in the model fills it');
  }
  const context = new Map<string, OnnxValue>();
  for (const value of [...stepModel.graph.inputs, ...(init?.graph.inputs ?? [])]) {
    if (value.name === tokens.name || stateNames.has(value.name)) continue;
    if (dtypeOf(value.elemType)?.startsWith('float') !== true) {
      throw new IsthmusError(
        'unsupported-model',
        `the input '${value.name}' is neither tokens, state nor context: this kind of model is not supported yet`,
        { details: { input: value.name } },
      );
    }
    context.set(value.name, value);
  }
  return {
    kind: 'loop',
    step: stepModel,
    tokens,
    logits,
    context: [...context.values()],
    stepStates,
    initStates,
    ...(init === undefined ? {} : { init }),
    ...(branch === undefined ? {} : { branch }),
  };
}

/** The integer input `[batch, seq]` that picks rows of a weight. */
export function tokenInput(graph: ModelGraph): OnnxValue | undefined {
  const candidates = new Set<string>();
  for (const node of graph.nodes) {
    const [table, indices] = node.inputs;
    if (node.opType !== 'Gather' || table === undefined || indices === undefined) continue;
    if (graph.initializers.has(table) && graph.inputs.has(indices)) candidates.add(indices);
  }
  return [...graph.inputs.values()].find(
    (value) =>
      candidates.has(value.name) &&
      value.dims?.length === 2 &&
      /^int(32|64)$/.test(dtypeOf(value.elemType) ?? ''),
  );
}

function logitsOutput(model: OnnxModel, states: ReadonlySet<string>): OnnxValue {
  const outputs = model.graph.outputs.filter((value) => !states.has(value.name));
  const [logits] = outputs;
  if (logits === undefined || outputs.length > 1) {
    throw new IsthmusError(
      'unsupported-model',
      `a decoder must have one output beside its state, this one has ${outputs.length}: ${outputs.map((value) => value.name).join(', ')}`,
    );
  }
  return logits;
}

function passesThrough(graph: ModelGraph, input: string, output: string): boolean {
  const producer = graph.producer.get(output);
  const node = producer === undefined ? undefined : graph.nodes[producer];
  return node?.opType === 'Identity' && node.inputs[0] === input;
}

/** Inputs and outputs whose names end alike and whose fixed extents agree, best matches first. */
function pairStates(model: OnnxModel): StatePair[] {
  const matches: { pair: StatePair; score: number }[] = [];
  for (const input of model.graph.inputs) {
    for (const output of model.graph.outputs) {
      if (!sameForm(input, output)) continue;
      const score = commonSuffix(input.name, output.name);
      if (score > 1) matches.push({ pair: { input, output }, score });
    }
  }
  matches.sort((a, b) => b.score - a.score);
  const used = new Set<OnnxValue>();
  const pairs: StatePair[] = [];
  for (const { pair } of matches) {
    if (used.has(pair.input) || used.has(pair.output)) continue;
    used.add(pair.input).add(pair.output);
    pairs.push(pair);
  }
  const place = new Map(model.graph.inputs.map((value, index) => [value, index]));
  return pairs.sort((a, b) => (place.get(a.input) ?? 0) - (place.get(b.input) ?? 0));
}

/** State is at least of rank 3 (batch, extent, features) and of one dtype and shape at both ends. */
function sameForm(input: OnnxValue, output: OnnxValue): boolean {
  if (input.elemType !== output.elemType || input.dims === undefined || output.dims === undefined)
    return false;
  if (input.dims.length !== output.dims.length || input.dims.length < 3) return false;
  return input.dims.every((dim, axis) => {
    const other = output.dims?.[axis];
    return typeof dim !== 'number' || typeof other !== 'number' || dim === other;
  });
}

function commonSuffix(a: string, b: string): number {
  let length = 0;
  while (length < Math.min(a.length, b.length) && a.at(-1 - length) === b.at(-1 - length)) length += 1;
  return length;
}
