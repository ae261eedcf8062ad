/** Reads an ONNX file with its external data. */
import { open, readFile, stat } from 'node:fs/promises';
import { dirname, isAbsolute, join, normalize } from 'node:path';
import { IsthmusError } from '../../errors.ts';
import { withGraph } from '../../graph/model-graph.ts';
import { readModel } from '../../graph/onnx-read.ts';
import type { OnnxModel, OnnxTensor } from '../../graph/onnx-types.ts';

export async function readOnnxFile(path: string): Promise<OnnxModel> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw new IsthmusError('bad-model', `cannot read '${path}': is the path right?`, { cause: error });
  }
  const model = named(path, () => readModel(bytes));
  const initializers: OnnxTensor[] = [];
  for (const tensor of model.graph.initializers) initializers.push(await withData(tensor, dirname(path)));
  return withGraph(model, { initializers });
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

async function withData(tensor: OnnxTensor, folder: string): Promise<OnnxTensor> {
  if (tensor.external === undefined) return tensor;
  const { location, offset } = tensor.external;
  const relative = normalize(location);
  if (isAbsolute(relative) || relative.startsWith('..')) {
    throw new IsthmusError(
      'bad-model',
      `the weight '${tensor.name}' points outside of the model's folder: '${location}'`,
    );
  }
  const path = join(folder, relative);
  const size = await stat(path).then(
    (info) => info.size,
    () => {
      throw new IsthmusError('bad-model', `the external data '${location}' is missing beside the model`, {
        details: { location },
      });
    },
  );
  const length = tensor.external.length ?? size - offset;
  if (offset + length > size) {
    throw new IsthmusError(
      'bad-model',
      `the external data '${location}' is truncated: '${tensor.name}' ends at ${offset + length} of ${size} bytes`,
    );
  }
  const data = new Uint8Array(length);
  const file = await open(path);
  try {
    await file.read(data, 0, length, offset);
  } finally {
    await file.close();
  }
  const { external: _external, ...rest } = tensor;
  return { ...rest, data };
}
