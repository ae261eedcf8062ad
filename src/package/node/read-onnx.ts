/** Reads an ONNX file with its external data. */
import { type FileHandle, open, readFile, stat } from 'node:fs/promises';
import { dirname, isAbsolute, join, normalize, sep } from 'node:path';
import { IsthmusError } from '../../errors.ts';
import { withGraph } from '../../graph/model-graph.ts';
import { readModel } from '../../graph/onnx-read.ts';
import { checkLength, tensorBytes } from '../../graph/onnx-tensor.ts';
import type { OnnxAttribute, OnnxGraph, OnnxModel, OnnxNode, OnnxTensor } from '../../graph/onnx-types.ts';

/** One read call takes at most this much: Node refuses lengths of 2 GiB and more. */
const MAX_READ_BYTES = 2 ** 30;

/**
 * Throws `bad-model` for a file that cannot be read, is foreign or truncated, or whose external data
 * is missing, too short or outside of the model's folder. Symbolic links are followed: model caches
 * keep every file as one.
 */
export async function readOnnxFile(path: string): Promise<OnnxModel> {
  let bytes: Uint8Array;
  try {
    const { buffer, byteOffset, byteLength } = await readFile(path);
    // No `Buffer`: its `slice` gives a view where that of every other byte array gives a copy.
    bytes = new Uint8Array(buffer, byteOffset, byteLength);
  } catch (error) {
    throw new IsthmusError('bad-model', `cannot read '${path}': is the path right?`, { cause: error });
  }
  const model = named(path, () => readModel(bytes));
  return withGraph(model, await graphWithData(model.graph, dirname(path)));
}

/** Says in which file the fault lies. */
function named<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof IsthmusError)) throw error;
    throw new IsthmusError(error.code, `${path}: ${error.message}`, { details: error.details, cause: error });
  }
}

/** Weights lie in branches and `Constant` nodes too. */
async function graphWithData(graph: OnnxGraph, folder: string): Promise<OnnxGraph> {
  const initializers: OnnxTensor[] = [];
  for (const tensor of graph.initializers) initializers.push(await withData(tensor, folder));
  const nodes: OnnxNode[] = [];
  for (const node of graph.nodes) {
    const attributes: OnnxAttribute[] = [];
    for (const attribute of node.attributes) attributes.push(await attributeWithData(attribute, folder));
    nodes.push({ ...node, attributes });
  }
  return { ...graph, initializers, nodes };
}

async function attributeWithData(attribute: OnnxAttribute, folder: string): Promise<OnnxAttribute> {
  const { tensor } = attribute;
  const graphs: { field: number; graph: OnnxGraph }[] = [];
  for (const { field, graph } of attribute.graphs) {
    graphs.push({ field, graph: await graphWithData(graph, folder) });
  }
  return {
    ...attribute,
    graphs,
    ...(tensor === undefined ? {} : { tensor: await withData(tensor, folder) }),
  };
}

async function withData(tensor: OnnxTensor, folder: string): Promise<OnnxTensor> {
  if (tensor.external === undefined) return tensor;
  const { location, offset } = tensor.external;
  const relative = normalize(location);
  if (isAbsolute(relative) || relative === '..' || relative.startsWith(`..${sep}`)) {
    throw new IsthmusError(
      'bad-model',
      `the weight '${tensor.name}' points outside of the model's folder: '${location}'`,
    );
  }
  const path = join(folder, relative);
  const info = await stat(path).catch(() => undefined);
  if (info?.isFile() !== true) {
    throw new IsthmusError('bad-model', `the external data '${location}' is missing beside the model`, {
      details: { location },
    });
  }
  const length = tensor.external.length ?? tensorBytes(tensor) ?? info.size - offset;
  if (offset > info.size || offset + length > info.size) {
    throw new IsthmusError(
      'bad-model',
      `the external data '${location}' is truncated: '${tensor.name}' ends at ${offset + length} of ${info.size} bytes`,
    );
  }
  checkLength(tensor, length);
  const file = await open(path);
  try {
    const { external: _external, ...rest } = tensor;
    return { ...rest, data: await readPart(file, location, offset, length) };
  } finally {
    await file.close();
  }
}

async function readPart(
  file: FileHandle,
  location: string,
  offset: number,
  length: number,
): Promise<Uint8Array> {
  const data = new Uint8Array(length);
  for (let at = 0; at < length; ) {
    const { bytesRead } = await file.read(data, at, Math.min(MAX_READ_BYTES, length - at), offset + at);
    if (bytesRead === 0)
      throw new IsthmusError('bad-model', `the external data '${location}' became shorter`);
    at += bytesRead;
  }
  return data;
}
