/** The kernels' memory and what all spans of a runner share in it: scratch, the run block, threads. */
import { IsthmusError } from '../../errors.ts';
import { Heap } from './heap.ts';
import { growTo, type Kernels, openKernels } from './kernels.ts';
import { MAX_PICKED, MAX_ROWS } from './layout.ts';
import { RUN_BLOCK_BYTES, resetCounters, writeRunBlock } from './run-block.ts';
import type { RunRows, SpanPlace } from './span.ts';
import { type StartThread, Threads } from './threads.ts';
import { type LetGo, Weights } from './weights.ts';

/** Positions for whose scores a thread has room at least; more is taken when a text grows. */
const LEAST_POSITIONS = 256;

export interface PlaceOptions {
  /** Threads that share a run at most; more than one needs memory that is shared. */
  readonly threads: number;
  readonly startThread?: StartThread;
  /** Where the bytes of shards belong to who reads them: frees them at once. Default: they are garbage. */
  readonly letGo?: LetGo;
}

export class KernelPlace implements SpanPlace {
  readonly kernels: Kernels;
  readonly heap: Heap;
  readonly weights: Weights;
  readonly #block: number;
  readonly #rowList: number;
  readonly #threads: Threads | undefined;
  readonly #most: number;
  #scratch = 0;
  #scratchBytes = 0;
  #scores = 0;
  #positions = 0;
  #group = 0;
  #tables = { at: 0, bytes: 0 };

  /** Throws `no-provider` where WebAssembly cannot run the kernels. */
  static async open(options: PlaceOptions): Promise<KernelPlace> {
    const { threads, startThread, letGo } = options;
    const many = threads > 1 && startThread !== undefined;
    try {
      return new KernelPlace(await openKernels(many), many ? threads : 1, startThread, letGo);
    } catch (cause) {
      throw new IsthmusError('no-provider', 'WebAssembly cannot run the kernels for text here', { cause });
    }
  }

  private constructor(
    kernels: Kernels,
    threads: number,
    startThread: StartThread | undefined,
    letGo: LetGo | undefined,
  ) {
    this.kernels = kernels;
    this.heap = new Heap(kernels.base, (bytes) => growTo(kernels.memory, bytes));
    this.weights = new Weights(kernels, this.heap, letGo);
    this.#block = this.heap.take(RUN_BLOCK_BYTES);
    this.#rowList = this.heap.take((MAX_ROWS + MAX_PICKED) * 4);
    this.#most = threads;
    new Uint8Array(this.memory.buffer, this.#block, RUN_BLOCK_BYTES).fill(0);
    if (threads > 1 && startThread !== undefined) {
      this.#threads = new Threads(kernels, this.#block, threads, startThread);
    }
  }

  /** That share runs, or will once they are here. */
  get threads(): number {
    return this.#threads?.expected ?? 1;
  }

  get memory(): WebAssembly.Memory {
    return this.kernels.memory;
  }

  scratch(): number {
    return this.#scratch;
  }

  /** Room for intermediates; true where they moved. */
  needScratch(bytes: number): boolean {
    if (bytes <= this.#scratchBytes) return false;
    // Taken before the old one is given back: where there is no room, runs go on as before.
    const scratch = this.heap.take(bytes);
    if (this.#scratchBytes > 0) this.heap.give(this.#scratch);
    this.#scratch = scratch;
    this.#scratchBytes = bytes;
    return true;
  }

  /** Room for the scores of attention over so many positions, by `group` heads at a time. */
  needPositions(positions: number, group: number): void {
    if (positions <= this.#positions && group <= this.#group) return;
    const wider = Math.max(this.#group, group);
    const longer = Math.max(this.#positions, LEAST_POSITIONS, 2 ** Math.ceil(Math.log2(positions)));
    const scores = this.heap.take(this.#most * this.#bytesOfScores(wider, longer));
    if (this.#positions > 0) this.heap.give(this.#scores);
    this.#scores = scores;
    this.#group = wider;
    this.#positions = longer;
  }

  /** State that the next runs read and write. */
  useTables(at: number, bytes: number): void {
    this.#tables = { at, bytes };
  }

  start(program: number, count: number, { rows, position, tokens, picked }: RunRows): void {
    if (count === 0) return;
    const list = new Int32Array(this.memory.buffer, this.#rowList, MAX_ROWS + MAX_PICKED);
    list.set(tokens);
    list.set(picked, MAX_ROWS);
    resetCounters(this.memory, program, count);
    writeRunBlock(this.memory, this.#block, {
      threads: this.#threads?.count ?? 1,
      rows,
      position,
      tokens: this.#rowList,
      picked: this.#rowList + MAX_ROWS * 4,
      tables: this.#tables.at,
      tableBytes: this.#tables.bytes,
      scores: this.#scores,
      scoresBytes: this.#bytesOfScores(this.#group, this.#positions),
      scoresStride: this.#positions * 4,
      program,
      count,
    });
    try {
      this.kernels.start(this.#block);
    } catch (cause) {
      // A helper that died or hangs: what comes next is done without any.
      this.#threads?.stop();
      throw new IsthmusError('run-failed', 'a thread of the kernels did not answer', { cause });
    }
  }

  /** Of each thread. */
  #bytesOfScores(group: number, positions: number): number {
    return this.kernels.attendedRows * group * positions * 4;
  }

  close(): void {
    this.#threads?.stop();
  }
}
