/**
 * State in the process's memory, for any backend. `append` and `replace` entries are the runtime's own
 * tensors. `shared` entries are buffers with room to spare: a session reads one where it lies and yields
 * the rows that it adds (`yieldRows`), which are copied into their place; so going back is only a number.
 */
import type { Tensor as OrtTensor, TensorConstructor } from 'onnxruntime-common';
import { DTYPE_BYTES, elementCount, makeTensor, type Tensor } from '../core/tensor.ts';
import { IsthmusError } from '../errors.ts';
import type { StateEntry } from '../package/manifest.ts';
import { fromOrt, toOrt } from './ort-tensor.ts';
import {
  cannotStandAt,
  capacityFor,
  copyRows,
  entryDims,
  hasRoom,
  joinRows,
  positionAxis,
  rowLayout,
  rowsFor,
  sliceRows,
} from './state-rows.ts';
import type { RowsAt, StateRun, StateStore } from './state-store.ts';
import { ROWS_FROM, ROWS_TO, rowsOutput } from './yield-rows.ts';

/** Output of the session that changes an entry. */
function madeBy(entry: StateEntry): string {
  return entry.growth === 'shared' ? rowsOutput(entry) : entry.output;
}

interface Held {
  readonly tensor: OrtTensor;
  /** Positions that it stands for; a `shared` buffer has room for more. */
  readonly rows: number;
}

export interface OrtStateOptions {
  readonly Tensor: TensorConstructor;
  /** Positions of the model at most, where that is known; bounds the buffers. */
  readonly contextLength?: number;
}

export class OrtState implements StateStore {
  readonly #options: OrtStateOptions;
  /** By the name of the step graph's input. */
  readonly #held = new Map<string, Held>();

  constructor(options: OrtStateOptions) {
    this.#options = options;
  }

  async run(request: StateRun): Promise<Readonly<Record<string, OrtTensor>>> {
    const { session, reads, writes, at } = request;
    // Nothing is changed before every entry is known to stand where it must.
    if (at !== undefined) for (const entry of writes) this.#check(entry, at.position);
    const feeds: Record<string, OrtTensor> = { ...request.feeds };
    const fetches: Record<string, OrtTensor | null> = {};
    for (const name of request.fetches) fetches[name] = null;
    for (const entry of reads) {
      feeds[entry.input] = entry.growth === 'shared' ? this.#buffer(entry, at) : this.#input(entry, at);
    }
    for (const entry of writes) fetches[madeBy(entry)] = null;
    if (at !== undefined && writes.some(({ growth }) => growth === 'shared')) {
      feeds[ROWS_FROM] = this.#number(at.position);
      feeds[ROWS_TO] = this.#number(at.position + at.rows);
    }
    if (Object.keys(fetches).length === 0) return {};
    const results = await session.run(feeds, fetches);
    for (const entry of writes) this.#keep(entry, results[madeBy(entry)], at);
    return results;
  }

  async read(entry: StateEntry, from: number, to: number): Promise<Tensor> {
    const axis = positionAxis(entry);
    const held = this.#held.get(entry.input);
    if (to > (held?.rows ?? 0)) throw cannotStandAt(entry, held?.rows ?? 0, to);
    const whole = held === undefined ? this.#blank(entry, 0) : fromOrt(entry.input, held.tensor);
    return sliceRows(whole, axis, from, to);
  }

  async write(entry: StateEntry, from: number, rows: Tensor): Promise<void> {
    const axis = positionAxis(entry);
    const count = rowsFor(entry, rows);
    this.#check(entry, from);
    if (entry.growth === 'shared') return this.#place(entry, rows, { position: from, rows: count });
    const before = from === 0 ? [] : [await this.read(entry, 0, from)];
    // A copy either way: whoever gave the rows may do with them what they like.
    const whole = before.length === 0 ? sliceRows(rows, axis, 0, count) : joinRows([...before, rows], axis);
    this.#set(entry, toOrt(whole, this.#options.Tensor), from + count);
  }

  close(): void {
    for (const { tensor } of this.#held.values()) tensor.dispose();
    this.#held.clear();
  }

  #check(entry: StateEntry, position: number): void {
    const rows = this.#held.get(entry.input)?.rows ?? 0;
    const stands = entry.growth === 'replace' ? position === rows || position === 0 : position <= rows;
    if (!stands) throw cannotStandAt(entry, rows, position);
  }

  /** State that the session reads and does not write in place. */
  #input(entry: StateEntry, at: RowsAt | undefined): OrtTensor {
    const held = this.#held.get(entry.input);
    if (entry.origin === 'init') {
      if (held !== undefined) return held.tensor;
      throw new IsthmusError('run-failed', `'${entry.input}' is read before the init phase filled it`);
    }
    const { Tensor } = this.#options;
    if (held === undefined || at?.position === 0) return toOrt(this.#blank(entry, 0), Tensor);
    if (at === undefined || held.rows === at.position || entry.growth === 'replace') return held.tensor;
    const axis = positionAxis(entry);
    return toOrt(sliceRows(fromOrt(entry.input, held.tensor), axis, 0, at.position), Tensor);
  }

  /** The buffer of a `shared` entry, with room for what the run adds; what lies beyond is forgotten. */
  #buffer(entry: StateEntry, at: RowsAt | undefined): OrtTensor {
    if (at === undefined) {
      throw new IsthmusError('bad-option', `the state '${entry.input}' needs to know where its rows stand`);
    }
    const axis = positionAxis(entry);
    const held = this.#held.get(entry.input);
    const needed = at.position + at.rows;
    if (held !== undefined && hasRoom(held.tensor.dims[axis] ?? 0, needed)) {
      this.#held.set(entry.input, { tensor: held.tensor, rows: at.position });
      return held.tensor;
    }
    const grown = this.#blank(entry, capacityFor(needed, this.#options.contextLength));
    if (held !== undefined) {
      const old = fromOrt(entry.input, held.tensor);
      copyRows(
        { bytes: old.bytes, layout: rowLayout(old, axis), from: 0 },
        { bytes: grown.bytes, layout: rowLayout(grown, axis), from: 0 },
        at.position,
      );
    }
    const tensor = toOrt(grown, this.#options.Tensor);
    this.#set(entry, tensor, at.position);
    return tensor;
  }

  /** Puts rows in their place in the buffer. */
  #place(entry: StateEntry, rows: Tensor, at: RowsAt): void {
    const axis = positionAxis(entry);
    const tensor = this.#buffer(entry, at);
    const buffer = fromOrt(entry.input, tensor);
    copyRows(
      { bytes: rows.bytes, layout: rowLayout(rows, axis), from: 0 },
      { bytes: buffer.bytes, layout: rowLayout(buffer, axis), from: at.position },
      at.rows,
    );
    this.#set(entry, tensor, at.position + at.rows);
  }

  #number(value: number): OrtTensor {
    return new this.#options.Tensor('int64', BigInt64Array.of(BigInt(value)), [1]);
  }

  #keep(entry: StateEntry, made: OrtTensor | undefined, at: RowsAt | undefined): void {
    if (entry.growth === 'shared' && at !== undefined) {
      const rows = made === undefined ? undefined : fromOrt(entry.output, made);
      if (rows === undefined || rowsFor(entry, rows) !== at.rows) {
        throw new IsthmusError('run-failed', `the runtime did not yield the new rows of '${entry.output}'`);
      }
      this.#place(entry, rows, at);
      return;
    }
    const grown = at === undefined ? undefined : at.position + at.rows;
    const extent = entry.axis === undefined ? undefined : made?.dims[entry.axis];
    if (entry.growth === 'append' && grown !== undefined && made !== undefined && extent !== grown) {
      throw new IsthmusError(
        'run-failed',
        `the state '${entry.output}' has ${extent} rows where ${grown} were due`,
      );
    }
    this.#set(entry, made, grown ?? extent ?? 0);
  }

  #set(entry: StateEntry, tensor: OrtTensor | undefined, rows: number): void {
    if (tensor === undefined)
      throw new IsthmusError('run-failed', `the runtime did not yield the state '${entry.output}'`);
    const old = this.#held.get(entry.input)?.tensor;
    if (old !== undefined && old !== tensor) old.dispose();
    this.#held.set(entry.input, { tensor, rows });
  }

  /** Zeros: a fresh state, or room for rows. */
  #blank(entry: StateEntry, rows: number): Tensor {
    const dims = entryDims(entry, rows);
    return makeTensor(entry.dtype, dims, new Uint8Array(elementCount(dims) * DTYPE_BYTES[entry.dtype]));
  }
}
