/**
 * What the inputs and outputs of an ONNX file are for, read from its structure: which input takes
 * token ids, which pairs of input and output carry state from step to step, what is left.
 */

import { IsthmusError } from '../../errors.ts';
import { type ModelGraph, prune, toModelGraph } from '../../graph/model-graph.ts';
import { dtypeOf, type OnnxModel, type OnnxValue } from '../../graph/onnx-types.ts';
import { branchInputs, constantsToInitializers, takeBranch } from '../../graph/specialise.ts';
import { graphTraits } from '../../graph/traits.ts';
import { type FeedCandidates, feedCandidates } from './feed-candidates.ts';
import { floatScores } from './float-scores.ts';
import type { ImportHints } from './hints.ts';
import { pairStates, type StatePair } from './state-pairs.ts';
import { tokenInput } from './token-input.ts';

export type { StatePair } from './state-pairs.ts';

export interface LoopParts {
  readonly kind: 'loop';
  /** One step with state; outputs are the logits and the step's state. */
  readonly step: OnnxModel;
  /** Fills the read-only state from the context; absent when there is none. */
  readonly init?: OnnxModel;
  readonly tokens: OnnxValue;
  /** Token ids run below this. */
  readonly ids: number;
  readonly logits: OnnxValue;
  readonly context: readonly OnnxValue[];
  /** Inputs that may follow from the place in the text; only decoders without context have them. */
  readonly places: readonly FeedCandidates[];
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
export function classify(model: OnnxModel, hints?: ImportHints): OnceParts | LoopParts {
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
    return loopParts(flat, undefined, undefined, hints) ?? { kind: 'once', model: flat };
  }
  const taken = takeBranch(model, branch, true);
  const other = takeBranch(model, branch, false);
  // The branch that reads more of the inputs is the one that goes on from state.
  const inStep = taken.graph.inputs.length >= other.graph.inputs.length;
  const parts = loopParts(inStep ? taken : other, inStep ? other : taken, { input: branch, inStep }, hints);
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
  hints: ImportHints | undefined,
): LoopParts | undefined {
  const graph = toModelGraph(step);
  const pairs = pairStates(step);
  const stateNames = new Set(pairs.flatMap((pair) => [pair.input.name, pair.output.name]));
  const width = step.graph.outputs.find((value) => !stateNames.has(value.name))?.dims?.at(-1);
  const found = tokenInput(graph, typeof width === 'number' ? width : undefined);
  if (found === undefined || pairs.length === 0) return undefined;
  const { value: tokens, ids } = found;
  const constant = graphTraits(graph, new Set(), []).constant;
  const isKept = (pair: StatePair): boolean =>
    constant.has(pair.output.name) || passesThrough(graph, pair.input.name, pair.output.name);
  const initStates = pairs.filter(isKept);
  const stepStates = pairs.filter((pair) => !isKept(pair));
  const scored = logitsOutput(step, stateNames);
  const pruned = prune(step, [scored, ...stepStates.map((pair) => pair.output)]);
  // A merged model is compared with itself by the names that it came with.
  const { model: stepModel, scores: logits } =
    branch === undefined ? floatScores(pruned, scored) : { model: pruned, scores: scored };
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
  const others = [...stepModel.graph.inputs, ...(init?.graph.inputs ?? [])].filter(
    (value) => value.name !== tokens.name && !stateNames.has(value.name),
  );
  const { context, places } = placesAndContext(
    toModelGraph(stepModel),
    new Map(others.map((value) => [value.name, value])),
    tokens,
    stepStates,
    hints,
  );
  return {
    kind: 'loop',
    step: stepModel,
    tokens,
    ids,
    logits,
    context,
    places,
    stepStates,
    initStates,
    ...(init === undefined ? {} : { init }),
    ...(branch === undefined ? {} : { branch }),
  };
}

/** Float tensors of features come from a stage before; what is left must follow from the place. */
function placesAndContext(
  graph: ModelGraph,
  others: ReadonlyMap<string, OnnxValue>,
  tokens: OnnxValue,
  stepStates: readonly StatePair[],
  hints: ImportHints | undefined,
): Pick<LoopParts, 'context' | 'places'> {
  const hinted = new Map(hints?.feeds.map((feed) => [feed.input, feed.kind]));
  const isContext = ({ name, elemType, dims }: OnnxValue): boolean =>
    dtypeOf(elemType)?.startsWith('float') === true &&
    !hinted.has(name) &&
    (dims?.length !== 2 || typeof dims[1] === 'number');
  const context = [...others.values()].filter(isContext);
  const rest = [...others.values()].filter((value) => !isContext(value));
  const outputs = stepStates.map((pair) => pair.output.name);
  const places = rest.map((value) => {
    const hint = hinted.get(value.name);
    if (hint !== undefined) return { value, kinds: [hint] };
    const candidates = feedCandidates(graph, value, tokens, outputs);
    // Beside a context an input of this kind is not known to follow from the place of the rows.
    if (candidates === undefined || context.length > 0) throw unknownInput(value.name);
    return candidates;
  });
  return { context, places };
}

function unknownInput(name: string): IsthmusError {
  return new IsthmusError(
    'unsupported-model',
    `the input '${name}' is neither tokens, state nor context: this kind of model is not supported yet`,
    { details: { input: name } },
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
