/**
 * State that never leaves the WASM heap. `shared` entries are buffers with room to spare, given to the
 * session as input and as output at once, so that attention appends in place; `append` and `replace`
 * entries are what the last run made, handed to the next one by their handle. Per run only the small
 * feeds go in and what is asked for comes out.
 */
import type { InferenceSession, Tensor as OrtTensor, TensorConstructor } from 'onnxruntime-common';
import { isDType, type Tensor } from '../../core/tensor.ts';
import { IsthmusError } from '../../errors.ts';
import type { StateEntry } from '../../package/manifest.ts';
import { toOrt } from '../ort-tensor.ts';
import type { HeldTensor } from '../shared-weights.ts';
import {
  cannotStandAt,
  capacityFor,
  copyRows,
  entryDims,
  hasRoom,
  positionAxis,
  rowLayout,
  rowsFor,
  sliceRows,
} from '../state-rows.ts';
import type { RowsAt, StateRun, StateStore } from '../state-store.ts';
import type { HeapTensor, ResidentHeap } from './resident-heap.ts';
import { nativeSession, runInHeap } from './resident-run.ts';

interface Held {
  readonly tensor: HeapTensor;
  /** Positions that it stands for; a `shared` buffer has room for more. */
  readonly rows: number;
}

export interface ResidentStateOptions {
  readonly heap: ResidentHeap;
  readonly Tensor: TensorConstructor;
  /** Positions of the model at most, where that is known; bounds the buffers. */
  readonly contextLength?: number;
}

export class ResidentState implements StateStore {
  readonly #options: ResidentStateOptions;
  readonly #heap: ResidentHeap;
  /** By the name of the step graph's input. */
  readonly #held = new Map<string, Held>();

  constructor(options: ResidentStateOptions) {
    this.#options = options;
    this.#heap = options.heap;
  }

  async run(request: StateRun): Promise<Readonly<Record<string, OrtTensor>>> {
    const { reads, writes, at } = request;
    const session = nativeHandle(request.session);
    // Nothing is changed before every entry is known to stand where it must.
    if (at !== undefined) for (const entry of writes) this.#check(entry, at.position);
    const inputs = new Map<string, HeldTensor>(request.held?.tensors ?? []);
    const outputs = new Map<string, HeapTensor | undefined>();
    /** Made for this run alone. */
    const passing: HeapTensor[] = [];
    try {
      for (const [name, tensor] of Object.entries(request.feeds)) {
        const copy = this.#copyIn(name, tensor);
        passing.push(copy);
        inputs.set(name, copy);
      }
      for (const entry of reads) {
        if (entry.growth !== 'shared') inputs.set(entry.input, this.#input(entry, at, passing));
      }
      for (const name of request.fetches) outputs.set(name, undefined);
      for (const entry of writes) {
        const buffer = entry.growth === 'shared' ? this.#buffer(entry, at) : undefined;
        outputs.set(entry.output, buffer);
        if (buffer !== undefined && reads.includes(entry)) inputs.set(entry.input, buffer);
      }
      if (outputs.size === 0) return {};
      return this.#take(request, await runInHeap(this.#heap, session, inputs, outputs));
    } finally {
      for (const tensor of passing) this.#heap.release(tensor);
    }
  }

  async read(entry: StateEntry, from: number, to: number): Promise<Tensor> {
    const axis = positionAxis(entry);
    const held = this.#held.get(entry.input);
    if (to > (held?.rows ?? 0)) throw cannotStandAt(entry, held?.rows ?? 0, to);
    const { dtype } = entry;
    const whole =
      held === undefined
        ? { dtype, dims: entryDims(entry, 0), bytes: new Uint8Array(0) }
        : this.#view(held.tensor);
    return sliceRows(whole, axis, from, to);
  }

  async write(entry: StateEntry, from: number, rows: Tensor): Promise<void> {
    const axis = positionAxis(entry);
    const count = rowsFor(entry, rows);
    this.#check(entry, from);
    const target =
      entry.growth === 'shared'
        ? this.#buffer(entry, { position: from, rows: count })
        : this.#resized(entry, from, from + count);
    const { bytes, dims, dtype } = this.#view(target);
    copyRows(
      { bytes: rows.bytes, layout: rowLayout(rows, axis), from: 0 },
      { bytes, layout: rowLayout({ dtype, dims }, axis), from },
      count,
    );
    this.#set(entry, target, from + count);
  }

  close(): void {
    for (const { tensor } of this.#held.values()) this.#heap.release(tensor);
    this.#held.clear();
  }

  #check(entry: StateEntry, position: number): void {
    const rows = this.#held.get(entry.input)?.rows ?? 0;
    const stands = entry.growth === 'replace' ? position === rows || position === 0 : position <= rows;
    if (!stands) throw cannotStandAt(entry, rows, position);
  }

  #copyIn(name: string, given: OrtTensor): HeapTensor {
    const { type, dims } = given;
    if (!isDType(type)) throw new IsthmusError('bad-tensor', `'${name}' is of a type that cannot be fed`);
    const { buffer, byteOffset, byteLength } = given.data as Exclude<typeof given.data, string[]>;
    const tensor = this.#heap.create(type, dims);
    this.#heap.bytes(tensor).set(new Uint8Array(buffer, byteOffset, byteLength));
    return tensor;
  }

  /** State that the session reads and does not write in place. */
  #input(entry: StateEntry, at: RowsAt | undefined, passing: HeapTensor[]): HeapTensor {
    const held = this.#held.get(entry.input);
    if (entry.origin === 'init') {
      if (held !== undefined) return held.tensor;
      throw new IsthmusError('run-failed', `'${entry.input}' is read before the init phase filled it`);
    }
    if (held !== undefined && at?.position !== 0) {
      if (at === undefined || held.rows === at.position || entry.growth === 'replace') return held.tensor;
      const cut = this.#resized(entry, at.position, at.position);
      passing.push(cut);
      return cut;
    }
    const fresh = this.#heap.create(entry.dtype, entryDims(entry, 0));
    this.#heap.bytes(fresh).fill(0);
    passing.push(fresh);
    return fresh;
  }

  /** The buffer of a `shared` entry, with room for what the run adds; what lies beyond is forgotten. */
  #buffer(entry: StateEntry, at: RowsAt | undefined): HeapTensor {
    if (at === undefined) {
      throw new IsthmusError('bad-option', `the state '${entry.input}' needs to know where its rows stand`);
    }
    const held = this.#held.get(entry.input)?.tensor;
    const needed = at.position + at.rows;
    const isLargeEnough = held !== undefined && hasRoom(held.dims[positionAxis(entry)] ?? 0, needed);
    const tensor = isLargeEnough
      ? held
      : this.#resized(entry, at.position, capacityFor(needed, this.#options.contextLength));
    this.#set(entry, tensor, at.position);
    return tensor;
  }

  /** A new tensor with room for `room` rows, the first `keep` of them those that are held; zeros behind. */
  #resized(entry: StateEntry, keep: number, room: number): HeapTensor {
    const axis = positionAxis(entry);
    const held = this.#held.get(entry.input)?.tensor;
    const tensor = this.#heap.create(entry.dtype, entryDims(entry, room));
    // Stale bytes may be numbers that no arithmetic survives (NaN times a weight of zero).
    this.#heap.bytes(tensor).fill(0);
    if (held !== undefined) {
      const [source, target] = [this.#view(held), this.#view(tensor)];
      copyRows(
        { bytes: source.bytes, layout: rowLayout(source, axis), from: 0 },
        { bytes: target.bytes, layout: rowLayout(target, axis), from: 0 },
        keep,
      );
    }
    return tensor;
  }

  /** Keeps what is state among the results, and hands out copies of what was asked for. */
  #take(request: StateRun, results: Map<string, HeapTensor>): Readonly<Record<string, OrtTensor>> {
    const { writes, at, fetches } = request;
    const kept = new Set(writes.map((entry) => entry.output));
    try {
      const outputs: Record<string, OrtTensor> = {};
      for (const name of fetches) {
        const made = results.get(name);
        if (made !== undefined) outputs[name] = this.#copyOut(made);
      }
      for (const entry of writes) this.#checkGrown(entry, results.get(entry.output), at);
      for (const entry of writes) this.#keep(entry, results.get(entry.output), at);
      return outputs;
    } catch (error) {
      const mine = new Set([...this.#held.values()].map(({ tensor }) => tensor));
      for (const [name, tensor] of results) {
        if (kept.has(name) && !mine.has(tensor)) this.#heap.release(tensor);
      }
      throw error;
    } finally {
      for (const [name, tensor] of results) if (!kept.has(name)) this.#heap.release(tensor);
    }
  }

  #checkGrown(entry: StateEntry, made: HeapTensor | undefined, at: RowsAt | undefined): void {
    if (made === undefined)
      throw new IsthmusError('run-failed', `the runtime did not yield the state '${entry.output}'`);
    if (entry.growth !== 'append' || at === undefined || entry.axis === undefined) return;
    const due = at.position + at.rows;
    const extent = made.dims[entry.axis];
    if (extent === due) return;
    throw new IsthmusError(
      'run-failed',
      `the state '${entry.output}' has ${extent} rows where ${due} were due`,
    );
  }

  #keep(entry: StateEntry, made: HeapTensor | undefined, at: RowsAt | undefined): void {
    const extent = entry.axis === undefined ? undefined : made?.dims[entry.axis];
    const rows = at === undefined ? (extent ?? 0) : at.position + at.rows;
    if (made !== undefined) this.#set(entry, made, rows);
  }

  #copyOut(tensor: HeapTensor): OrtTensor {
    const { dtype, dims } = tensor;
    return toOrt({ dtype, dims, bytes: this.#heap.bytes(tensor).slice() }, this.#options.Tensor);
  }

  #view(tensor: HeapTensor): Tensor {
    return { dtype: tensor.dtype, dims: tensor.dims, bytes: this.#heap.bytes(tensor) };
  }

  #set(entry: StateEntry, tensor: HeapTensor, rows: number): void {
    const old = this.#held.get(entry.input)?.tensor;
    if (old !== undefined && old !== tensor) this.#heap.release(old);
    this.#held.set(entry.input, { tensor, rows });
  }
}

function nativeHandle(session: InferenceSession): number {
  const handle = nativeSession(session);
  if (handle === undefined) throw new IsthmusError('internal', 'the session is not one of this runtime');
  return handle;
}
