/** Rows of state in plain bytes: how many there is room for, and copying them along their axis. */
import { DTYPE_BYTES, elementCount, type Tensor, type TensorMap } from '../core/tensor.ts';
import { IsthmusError } from '../errors.ts';
import type { StateEntry } from '../package/manifest.ts';

/**
 * Rows that a fixed-capacity buffer has at least: small enough for phones (a few MB for a model of 100M
 * parameters), large enough that a short chat never grows it.
 */
export const MIN_CAPACITY_ROWS = 256;

/**
 * Rows of a buffer beyond those that it holds: graphs may put a padding row behind a run's own, so that
 * a single row takes the same kernels as many (see `addAttention`).
 */
export const SPARE_ROWS = 1;

/** Whether a buffer of `capacity` rows can be run over with `rows` of them held after it. */
export function hasRoom(capacity: number, rows: number): boolean {
  return capacity >= rows + SPARE_ROWS;
}

/**
 * Room for `rows`: in steps of `MIN_CAPACITY_ROWS` or a quarter of what is held, so that growth copies each
 * row a few times at most and runtimes that clear or copy whole buffers have little to spare. Never more
 * than the model can use, unless the caller has more rows than that.
 */
export function capacityFor(rows: number, contextLength = Infinity): number {
  const needed = rows + SPARE_ROWS;
  const step = Math.max(MIN_CAPACITY_ROWS, 2 ** Math.floor(Math.log2(needed)) / 4);
  const stepped = Math.ceil(needed / step) * step;
  return Math.max(Math.min(stepped, contextLength + SPARE_ROWS), needed);
}

/** Bytes of a tensor seen as `[outer, rows, inner]`. */
export interface RowLayout {
  readonly outer: number;
  readonly rows: number;
  /** Bytes of one row in one `outer` slice. */
  readonly inner: number;
}

export function rowLayout(tensor: Pick<Tensor, 'dtype' | 'dims'>, axis: number): RowLayout {
  const { dims, dtype } = tensor;
  return {
    outer: elementCount(dims.slice(0, axis)),
    rows: dims[axis] ?? 1,
    inner: elementCount(dims.slice(axis + 1)) * DTYPE_BYTES[dtype],
  };
}

/** Copies `count` rows between buffers that differ only in how many rows they have. */
export function copyRows(
  source: { readonly bytes: Uint8Array; readonly layout: RowLayout; readonly from: number },
  target: { readonly bytes: Uint8Array; readonly layout: RowLayout; readonly from: number },
  count: number,
): void {
  const { outer, inner } = source.layout;
  for (let slice = 0; slice < outer; slice += 1) {
    const start = (slice * source.layout.rows + source.from) * inner;
    const end = start + count * inner;
    target.bytes.set(source.bytes.subarray(start, end), (slice * target.layout.rows + target.from) * inner);
  }
}

/** A copy of rows `[from, to)` along `axis`. */
export function sliceRows(tensor: Tensor, axis: number, from: number, to: number): Tensor {
  const dims = tensor.dims.with(axis, to - from);
  const layout = rowLayout(tensor, axis);
  const bytes = new Uint8Array(layout.outer * (to - from) * layout.inner);
  copyRows(
    { bytes: tensor.bytes, layout, from },
    { bytes, layout: { ...layout, rows: to - from }, from: 0 },
    to - from,
  );
  return { dtype: tensor.dtype, dims, bytes };
}

/** Tensors one behind the other along `axis`; all other extents agree. */
export function joinRows(parts: readonly Tensor[], axis: number): Tensor {
  const [first] = parts;
  if (first === undefined) throw new IsthmusError('internal', 'there is nothing to join');
  if (parts.length === 1) return first;
  const rows = parts.reduce((sum, part) => sum + (part.dims[axis] ?? 0), 0);
  const layout = { ...rowLayout(first, axis), rows };
  const bytes = new Uint8Array(layout.outer * rows * layout.inner);
  let at = 0;
  for (const part of parts) {
    const own = rowLayout(part, axis);
    copyRows({ bytes: part.bytes, layout: own, from: 0 }, { bytes, layout, from: at }, own.rows);
    at += own.rows;
  }
  return { dtype: first.dtype, dims: first.dims.with(axis, rows), bytes };
}

/** The axis of an entry's positions; `unsupported-model` for one that is not made of positions. */
export function positionAxis(entry: StateEntry): number {
  if (entry.growth === 'replace' || entry.axis === undefined) {
    throw new IsthmusError('unsupported-model', `the state '${entry.input}' is not made of positions`, {
      details: { name: entry.input },
    });
  }
  return entry.axis;
}

/** Shape of an entry with `rows` positions; other axes that vary are empty, as in a fresh one. */
export function entryDims(entry: StateEntry, rows: number): number[] {
  const along = entry.growth === 'replace' ? undefined : entry.axis;
  return entry.dims.map((dim, axis) => (axis === along ? rows : (dim ?? 0)));
}

/** How many rows `tensor` has for this entry; `bad-tensor` when it cannot be rows of it. */
export function rowsFor(entry: StateEntry, tensor: Tensor): number {
  const axis = positionAxis(entry);
  const rows = tensor.dims[axis] ?? -1;
  const wanted = entryDims(entry, rows);
  const fits =
    tensor.dtype === entry.dtype &&
    tensor.dims.length === wanted.length &&
    wanted.every((dim, at) => dim === tensor.dims[at]) &&
    elementCount(wanted) * DTYPE_BYTES[entry.dtype] === tensor.bytes.byteLength;
  if (!fits) {
    throw new IsthmusError(
      'bad-tensor',
      `${tensor.dtype}[${tensor.dims.join(', ')}] is no rows of the state '${entry.input}'`,
      { details: { name: entry.input } },
    );
  }
  return rows;
}

/** What is given for each entry, in their order. Throws `bad-tensor` where one is missing. */
export function stateTensors(
  entries: readonly StateEntry[],
  tensors: TensorMap,
): readonly (readonly [StateEntry, Tensor])[] {
  return entries.map((entry) => {
    const tensor = tensors[entry.input];
    if (tensor !== undefined) return [entry, tensor];
    throw new IsthmusError('bad-tensor', `the state '${entry.input}' is missing`, {
      details: { name: entry.input },
    });
  });
}

/** `bad-option`: a state of `held` positions cannot be set to `position`. */
export function cannotStandAt(entry: StateEntry, held: number, position: number): IsthmusError {
  const why =
    entry.growth === 'replace' && position < held
      ? `stands at position ${held} and cannot be rewound to ${position}`
      : `holds ${held} positions, not ${position}`;
  return new IsthmusError('bad-option', `the state '${entry.input}' ${why}`, {
    details: { name: entry.input, held, position },
  });
}
