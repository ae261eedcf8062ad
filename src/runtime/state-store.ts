/**
 * Where the state of one text (its KV cache) lies while sessions run over it. `OrtRunner` knows which
 * entries a run reads and writes; a store knows in what memory they are. The default,
 * `OrtState`, keeps the runtime's own tensors in the process's memory.
 *
 * How a backend plugs in: give `OrtRunner` an `openStore` that makes one store per open state. A store
 * gets the session with all feeds but the state, binds the state as it likes (typed arrays, the WASM
 * heap, GPU buffers), runs, keeps what became of the state and hands back the other outputs. The sessions
 * are those that the same backend's `createSession` made, so it may know more of them than the type says,
 * for example by a `WeakMap` from session to native handle. `state-rows.ts` has the capacity rule and the
 * copying of rows; the tests of lanes and runners are the tests of a store.
 */
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-common';
import type { Tensor } from '../core/tensor.ts';
import type { StateEntry } from '../package/manifest.ts';
import type { HeldWeights } from './shared-weights.ts';

/** Where a run's rows stand: `position` rows of state lie before them. */
export interface RowsAt {
  readonly position: number;
  readonly rows: number;
}

export interface StateRun {
  readonly session: InferenceSession;
  /** All inputs of the session but the state. */
  readonly feeds: Readonly<Record<string, OrtTensor>>;
  /** Outputs to return. State outputs are returned only when they are named here. */
  readonly fetches: readonly string[];
  /** Entries that the session reads (by `input`) and whose successors it makes (by `output`). */
  readonly reads: readonly StateEntry[];
  readonly writes: readonly StateEntry[];
  /**
   * Absent for runs whose state is only ever handed on, whole, to the next one (speech, `init`). Else, per
   * entry of `writes`:
   * `append`, `shared`: rows from `position` on are forgotten before the run; after it the entry holds
   * `position + rows` of them. An entry that holds fewer than `position` is refused.
   * `replace`: the entry must stand exactly at `position`; at 0 it starts anew.
   */
  readonly at?: RowsAt;
  /** Weights that the session takes as inputs; only with backends that share them. */
  readonly held?: HeldWeights;
}

export interface StateStore {
  /**
   * Runs the session with the state bound. A run that fails leaves rows before `position` as they were.
   * Throws `bad-option` for a position that the state cannot be set to, `run-failed` for state that
   * is read before it was made; what the runtime itself throws is passed on as it is.
   */
  run(request: StateRun): Promise<Readonly<Record<string, OrtTensor>>>;
  /** A copy of rows `[from, to)` of an `append` or `shared` entry; `bad-option` beyond what it holds. */
  read(entry: StateEntry, from: number, to: number): Promise<Tensor>;
  /**
   * Puts rows in place from row `from` on; the entry then holds those and no more. `bad-option` when it
   * holds fewer than `from` rows, `bad-tensor` for tensors that are not rows of this entry.
   */
  write(entry: StateEntry, from: number, rows: Tensor): Promise<void>;
  /** Frees everything. Called once; no run is under way then. */
  close(): void | Promise<void>;
}

export type OpenStateStore = () => StateStore;
