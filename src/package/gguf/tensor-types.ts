/**
 * How GGUF stores tensors (`enum ggml_type`): blocks of elements of one row with scales of their own.
 * Those in `TENSOR_TYPES` can be read; the others are only known by name, to say what is missing.
 */

export interface TensorTypeInfo {
  /** Elements of one block; rows are whole blocks. */
  readonly elements: number;
  readonly bytes: number;
}

export const TENSOR_TYPES = {
  F32: { elements: 1, bytes: 4 },
  F16: { elements: 1, bytes: 2 },
  BF16: { elements: 1, bytes: 2 },
  Q4_0: { elements: 32, bytes: 18 },
  Q4_1: { elements: 32, bytes: 20 },
  Q5_0: { elements: 32, bytes: 22 },
  Q5_1: { elements: 32, bytes: 24 },
  Q8_0: { elements: 32, bytes: 34 },
  Q4_K: { elements: 256, bytes: 144 },
  Q5_K: { elements: 256, bytes: 176 },
  Q6_K: { elements: 256, bytes: 210 },
} as const satisfies Readonly<Record<string, TensorTypeInfo>>;

export type TensorType = keyof typeof TENSOR_TYPES;

/** By number; holes are types that were given up. */
const NAMES: Readonly<Record<number, string>> = {
  0: 'F32',
  1: 'F16',
  2: 'Q4_0',
  3: 'Q4_1',
  6: 'Q5_0',
  7: 'Q5_1',
  8: 'Q8_0',
  9: 'Q8_1',
  10: 'Q2_K',
  11: 'Q3_K',
  12: 'Q4_K',
  13: 'Q5_K',
  14: 'Q6_K',
  15: 'Q8_K',
  16: 'IQ2_XXS',
  17: 'IQ2_XS',
  18: 'IQ3_XXS',
  19: 'IQ1_S',
  20: 'IQ4_NL',
  21: 'IQ3_S',
  22: 'IQ2_S',
  23: 'IQ4_XS',
  24: 'I8',
  25: 'I16',
  26: 'I32',
  27: 'I64',
  28: 'F64',
  29: 'IQ1_M',
  30: 'BF16',
  34: 'TQ1_0',
  35: 'TQ2_0',
  39: 'MXFP4',
  40: 'NVFP4',
  41: 'Q1_0',
  42: 'Q2_0',
};

/** The type's name, or its number where it has none here. */
export function tensorTypeName(code: number): string {
  return NAMES[code] ?? `number ${code}`;
}

export function isTensorType(name: string): name is TensorType {
  return Object.hasOwn(TENSOR_TYPES, name);
}

/** Bytes of `count` elements; `count` is whole blocks. */
export function storedBytes(type: TensorType, count: number): number {
  const { elements, bytes } = TENSOR_TYPES[type];
  return (count / elements) * bytes;
}
