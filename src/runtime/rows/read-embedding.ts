/**
 * Embeddings in 8 bits. A cut may lie between the look-up and the product with its scale, where only the
 * codes and the scale of each token cross.
 */
import type { OnnxNode, OnnxTensor, OnnxValue } from '../../graph/onnx-types.ts';
import { paddedInner, type Rows } from './program.ts';
import { type Reading, refuse, type Value, weightOf } from './reading.ts';

const INT8 = 3;
const FLOAT32 = 1;

export function finishEmbedding(reading: Reading, node: OnnxNode, a: Value, b: Value): boolean {
  if (a.is === 'codes' && b.is === 'codeScales') {
    const out = reading.rows(a.width, 'body');
    reading.emit('body', 'decode', [
      ...[{ buffer: out.buffer }, { buffer: a.buffer }, { buffer: b.buffer }],
      { int: a.width },
    ]);
    reading.set(node, out);
    return true;
  }
  if (a.is !== 'columns' || !a.turned || !a.cast || b.is !== 'columnScales' || !b.isColumn) return false;
  const { inner, columns } = tableOf(reading, a.matrix);
  if (b.scales.dims[0] !== columns || inner % 4 !== 0) refuse(node, 'table and scales do not fit');
  const out = reading.rows(inner, 'body');
  reading.emit('body', 'embed', [
    { buffer: out.buffer },
    weightOf(a.matrix, { as: 'matrix', inner, columns }),
    weightOf(b.scales, { as: 'floats', factor: 1 }),
    { int: inner },
    { int: paddedInner(inner) },
  ]);
  reading.set(node, out);
  return true;
}

/** Codes or scales as what crosses the far cut; `undefined` for other values. */
export function looked(reading: Reading, value: Value | undefined): Rows | undefined {
  if (value?.is === 'columns' && value.turned && !value.cast) {
    const { inner, columns } = tableOf(reading, value.matrix);
    const rows = { buffer: reading.buffer(inner), width: inner, dtype: 'int8' } as const;
    reading.emit('body', 'takeCodes', [
      { buffer: rows.buffer },
      weightOf(value.matrix, { as: 'matrix', inner, columns }),
      ...[{ int: 0 }, { int: inner }, { int: paddedInner(inner) }],
    ]);
    return rows;
  }
  if (value?.is === 'columnScales' && value.isColumn) {
    reading.vocabulary = value.scales.dims[0] ?? 0;
    const rows = { buffer: reading.buffer(4), width: 1, dtype: 'float32' } as const;
    const scales = weightOf(value.scales, { as: 'floats', factor: 1 });
    reading.emit('body', 'takeScales', [{ buffer: rows.buffer }, scales]);
    return rows;
  }
  return undefined;
}

/** Codes or scales that came over the near cut; `undefined` for other inputs. */
export function readLooked(reading: Reading, value: OnnxValue): Rows | undefined {
  const width = value.dims?.at(-1);
  if (typeof width !== 'number' || value.dims?.length !== 3) return undefined;
  if (value.elemType === INT8 && width % 4 === 0) {
    const rows = { buffer: reading.buffer(width), width, dtype: 'int8' } as const;
    reading.values.set(value.name, { is: 'codes', ...rows });
    return rows;
  }
  return undefined;
}

/** Scales cross as rows of one number, whose extent the graph does not tell from a varying one. */
export function readLookedScales(reading: Reading, value: OnnxValue): Rows | undefined {
  if (value.elemType !== FLOAT32 || value.dims?.length !== 3) return undefined;
  const rows = { buffer: reading.buffer(4), width: 1, dtype: 'float32' } as const;
  reading.values.set(value.name, { is: 'codeScales', ...rows });
  return rows;
}

function tableOf(reading: Reading, matrix: OnnxTensor): { readonly inner: number; readonly columns: number } {
  const [inner = 0, columns = 0] = matrix.dims;
  reading.vocabulary = columns;
  return { inner, columns };
}
