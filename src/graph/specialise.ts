/**
 * Turns what an exporter wrote into a flat graph: `If` nodes with a known condition are replaced by
 * the branch taken, weights held in `Constant` nodes become initializers.
 */
import { IsthmusError } from '../errors.ts';
import { prune, withGraph } from './model-graph.ts';
import type { OnnxAttribute, OnnxGraph, OnnxModel, OnnxNode, OnnxTensor } from './onnx-types.ts';

/** Names of boolean inputs that choose between the branches of an `If`. */
export function branchInputs(model: OnnxModel): string[] {
  const inputs = new Set(model.graph.inputs.map((value) => value.name));
  return [
    ...new Set(
      model.graph.nodes
        .filter((node) => node.opType === 'If' && node.domain === '')
        .flatMap((node) => node.inputs.filter((name) => inputs.has(name))),
    ),
  ];
}

/** The model for one value of a branch input: that input and the branch not taken are gone. */
export function takeBranch(model: OnnxModel, condition: string, value: boolean): OnnxModel {
  const nodes: OnnxNode[] = [];
  const initializers: OnnxTensor[] = [...model.graph.initializers];
  for (const node of model.graph.nodes) {
    if (node.opType !== 'If' || node.inputs[0] !== condition) {
      nodes.push(node);
      continue;
    }
    const branch = branchOf(node, value ? 'then_branch' : 'else_branch');
    initializers.push(...branch.initializers);
    nodes.push(...inlineBranch(node, branch));
  }
  const flat = withGraph(model, { nodes, initializers });
  return prune(constantsToInitializers(flat));
}

function branchOf(node: OnnxNode, name: string): OnnxGraph {
  const graph = node.attributes.find((attribute) => attribute.name === name)?.graphs[0]?.graph;
  if (graph === undefined) throw new IsthmusError('bad-model', `an If node has no ${name}`);
  if (graph.outputs.length !== node.outputs.length) {
    throw new IsthmusError(
      'bad-model',
      `the ${name} of an If yields ${graph.outputs.length} values, not ${node.outputs.length}`,
    );
  }
  return graph;
}

/** The branch's nodes, followed by renames where the branch's output has another name than the If's. */
function inlineBranch(node: OnnxNode, branch: OnnxGraph): OnnxNode[] {
  const renames: OnnxNode[] = [];
  node.outputs.forEach((outer, index) => {
    const inner = branch.outputs[index]?.name;
    if (outer === '' || inner === undefined || inner === outer) return;
    renames.push({
      name: `${outer}/branch`,
      opType: 'Identity',
      domain: '',
      inputs: [inner],
      outputs: [outer],
      attributes: [],
      rest: [],
    });
  });
  return [...branch.nodes, ...renames];
}

/** `Constant` nodes with a tensor value, at the top level, become initializers of that name. */
export function constantsToInitializers(model: OnnxModel): OnnxModel {
  const initializers = [...model.graph.initializers];
  const nodes = model.graph.nodes.filter((node) => {
    const tensor = constantTensor(node);
    const [output] = node.outputs;
    if (tensor === undefined || output === undefined) return true;
    initializers.push({ ...tensor, name: output });
    return false;
  });
  return withGraph(model, { nodes, initializers });
}

function constantTensor(node: OnnxNode): OnnxTensor | undefined {
  if (node.opType !== 'Constant' || node.domain !== '') return undefined;
  const value = node.attributes.find((attribute: OnnxAttribute) => attribute.name === 'value')?.tensor;
  // Strings and other forms stay nodes: they are never weights.
  return value?.data === undefined && value?.external === undefined ? undefined : value;
}
