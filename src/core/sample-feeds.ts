/** Inputs with meaningless content, for who measures a model and not what it says. */
import { DTYPE_BYTES, type DType, elementCount, makeTensor, type Tensor, type TensorMap } from './tensor.ts';

/** An input as a manifest describes it; `null` stands for an axis that varies. */
interface SampleInput {
  readonly name: string;
  readonly dtype: DType;
  readonly dims: readonly (number | null)[];
}

/** What of a once stage its inputs depend on. */
interface SampleStage {
  readonly inputs: readonly SampleInput[];
  readonly extent: { readonly axis: number };
  readonly rows: { readonly base: number; readonly perUnit: number };
}

/** Inputs of a stage at an extent, with meaningless content. */
export function sampleFeeds(stage: SampleStage, units: number): TensorMap {
  return Object.fromEntries(stage.inputs.map((input) => [input.name, sampleInput(input, stage, units)]));
}

/** The extent at which a stage yields about so many rows. */
export function unitsFor(stage: SampleStage, rows: number): number {
  const { base, perUnit } = stage.rows;
  return perUnit > 0 ? Math.max(1, Math.round((rows - base) / perUnit)) : 1;
}

/** A quiet wave: silence can be faster than sound where denormals are. */
function sampleInput(input: SampleInput, stage: SampleStage, units: number): Tensor {
  const dims = input.dims.map((dim, axis) => dim ?? (axis === 0 && stage.extent.axis !== 0 ? 1 : units));
  const bytes = new Uint8Array(elementCount(dims) * DTYPE_BYTES[input.dtype]);
  if (input.dtype === 'float32') {
    const values = new Float32Array(bytes.buffer);
    for (let index = 0; index < values.length; index += 1) values[index] = 0.1 * Math.sin(index * 0.05);
  }
  return makeTensor(input.dtype, dims, bytes);
}
