/** ONNX bytes to the types of `onnx-types.ts`. Pure; foreign or broken bytes throw `bad-model`. */
import { IsthmusError } from '../errors.ts';
import { decodeTensor } from './onnx-tensor.ts';
import type {
  OnnxAttribute,
  OnnxDim,
  OnnxGraph,
  OnnxModel,
  OnnxNode,
  OnnxTensor,
  OnnxValue,
} from './onnx-types.ts';
import { readFields, readVarints } from './protobuf.ts';

/** Nested sub-graphs deeper than this are an attack, not a model: exporters reach 3. */
export const MAX_GRAPH_DEPTH = 16;

/** Nodes of all graphs together; the largest exports (70 B parameters, unfused) have some 20,000. */
export const MAX_NODES = 1_000_000;

interface Budget {
  nodes: number;
}

export function readModel(bytes: Uint8Array): OnnxModel {
  try {
    return decodeModel(bytes);
  } catch (error) {
    // Shapes are checked by code that serves tensors on the wire too and names its own code.
    if (error instanceof IsthmusError && error.code !== 'bad-tensor') throw error;
    throw new IsthmusError(
      'bad-model',
      `the bytes are not an ONNX model, or it is truncated: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  }
}

function decodeModel(bytes: Uint8Array): OnnxModel {
  const opsets: { domain: string; version: number }[] = [];
  const budget: Budget = { nodes: 0 };
  let irVersion = 0;
  let graph: OnnxGraph | undefined;
  const rest = readFields(bytes, (field, _wire, reader) => {
    if (field === 1) irVersion = Number(reader.int64());
    else if (field === 7) graph = decodeGraph(reader.bytes(), 0, budget);
    else if (field === 8) opsets.push(decodeOpset(reader.bytes()));
    else return false;
    return true;
  });
  if (graph === undefined || irVersion <= 0) {
    throw new IsthmusError('bad-model', 'the file has no ONNX graph: is it another format, or empty?');
  }
  return { irVersion, opsets, graph, rest };
}

function decodeOpset(bytes: Uint8Array): { domain: string; version: number } {
  const opset = { domain: '', version: 0 };
  readFields(bytes, (field, _wire, reader) => {
    if (field === 1) opset.domain = reader.string();
    else if (field === 2) opset.version = Number(reader.int64());
    else return false;
    return true;
  });
  return opset;
}

function decodeGraph(bytes: Uint8Array, depth: number, budget: Budget): OnnxGraph {
  if (depth > MAX_GRAPH_DEPTH) {
    throw new IsthmusError('bad-model', `sub-graphs nest deeper than ${MAX_GRAPH_DEPTH}`);
  }
  const nodes: OnnxNode[] = [];
  const initializers: OnnxTensor[] = [];
  const inputs: OnnxValue[] = [];
  const outputs: OnnxValue[] = [];
  let name = '';
  let hasSparse = false;
  readFields(bytes, (field, _wire, reader) => {
    if (field === 1) nodes.push(decodeNode(reader.bytes(), depth, budget));
    else if (field === 2) name = reader.string();
    else if (field === 5) initializers.push(decodeTensor(reader.bytes()));
    else if (field === 11) inputs.push(decodeValue(reader.bytes()));
    else if (field === 12) outputs.push(decodeValue(reader.bytes()));
    else if (field === 15) {
      hasSparse = true;
      return false;
    } else return false;
    return true;
  });
  return { name, nodes, initializers, inputs, outputs, hasSparse };
}

function decodeNode(bytes: Uint8Array, depth: number, budget: Budget): OnnxNode {
  budget.nodes += 1;
  if (budget.nodes > MAX_NODES) {
    throw new IsthmusError('limit-exceeded', `the model has more than ${MAX_NODES} nodes`);
  }
  const inputs: string[] = [];
  const outputs: string[] = [];
  const attributes: OnnxAttribute[] = [];
  let name = '';
  let opType = '';
  let domain = '';
  const rest = readFields(bytes, (field, _wire, reader) => {
    if (field === 1) inputs.push(reader.string());
    else if (field === 2) outputs.push(reader.string());
    else if (field === 3) name = reader.string();
    else if (field === 4) opType = reader.string();
    else if (field === 5) attributes.push(decodeAttribute(reader.bytes(), depth, budget));
    else if (field === 7) domain = reader.string();
    else return false;
    return true;
  });
  if (opType === '') throw new IsthmusError('bad-model', 'a node has no operator');
  return { name, opType, domain, inputs, outputs, attributes, rest };
}

function decodeAttribute(bytes: Uint8Array, depth: number, budget: Budget): OnnxAttribute {
  const graphs: { field: number; graph: OnnxGraph }[] = [];
  const ints: bigint[] = [];
  let name = '';
  let tensor: OnnxTensor | undefined;
  let int: bigint | undefined;
  const rest = readFields(bytes, (field, wire, reader) => {
    if (field === 1) name = reader.string();
    else if (field === 3) int = BigInt(reader.int64());
    else if (field === 5) tensor = decodeTensor(reader.bytes());
    else if (field === 6 || field === 11) {
      graphs.push({ field, graph: decodeGraph(reader.bytes(), depth + 1, budget) });
    } else if (field === 8) readVarints(wire, reader, ints);
    else return false;
    return true;
  });
  return {
    name,
    graphs,
    ints,
    rest,
    ...(tensor === undefined ? {} : { tensor }),
    ...(int === undefined ? {} : { int }),
  };
}

function decodeValue(bytes: Uint8Array): OnnxValue {
  let name = '';
  let rawType: Uint8Array | undefined;
  readFields(bytes, (field, _wire, reader) => {
    if (field === 1) name = reader.string();
    else if (field === 2) rawType = reader.bytes();
    else return false;
    return true;
  });
  if (rawType === undefined) return { name, elemType: 0 };
  return { name, rawType, ...decodeTensorType(rawType) };
}

function decodeTensorType(bytes: Uint8Array): { elemType: number; dims?: OnnxDim[] } {
  let elemType = 0;
  let dims: OnnxDim[] | undefined;
  readFields(bytes, (field, _wire, reader) => {
    if (field !== 1) return false;
    readFields(reader.bytes(), (inner, _innerWire, tensor) => {
      if (inner === 1) elemType = tensor.int32();
      else if (inner === 2) dims = decodeShape(tensor.bytes());
      else return false;
      return true;
    });
    return true;
  });
  return dims === undefined ? { elemType } : { elemType, dims };
}

function decodeShape(bytes: Uint8Array): OnnxDim[] {
  const dims: OnnxDim[] = [];
  readFields(bytes, (field, _wire, reader) => {
    if (field !== 1) return false;
    let dim: OnnxDim = null;
    readFields(reader.bytes(), (inner, _innerWire, value) => {
      if (inner === 1) dim = Number(value.int64());
      else if (inner === 2) dim = value.string();
      else return false;
      return true;
    });
    dims.push(dim);
    return true;
  });
  return dims;
}
