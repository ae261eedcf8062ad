/**
 * The seam between what is computed and where: a runner holds the sessions and the state of one place
 * (the browser's worker, the endpoint). Everything above speaks this interface; implementations share
 * one conformance suite.
 */
import type { Phase, Segment } from '../core/span.ts';
import type { TensorMap } from '../core/tensor.ts';
import type { IsthmusError } from '../errors.ts';
import type { Lane } from './lane.ts';
import type { RowsAt } from './state-store.ts';
import type { Words } from './words.ts';

/** onnxruntime's names. `cpu` is native, the others are the browser's. */
export type ExecutionProvider = 'wasm' | 'webgpu' | 'cpu';

/** Names one state (positions and KV cache of the blocks held here). */
export type StateId = number;

export interface RunRequest {
  readonly segment: Segment;
  readonly phase: Phase;
  /** Everything that the segment's graph reads and that is neither weight nor state. */
  readonly feeds: TensorMap;
  /** Required for `init` and `step`: where state is read from and written to. */
  readonly state?: StateId;
  /**
   * For `step`: where the rows stand, which sets the state to that position first; see `StateRun`. Without
   * it each step takes up where the last one ended.
   */
  readonly at?: RowsAt;
  /** Outputs to return, by name in the graph; state outputs never leave the runner this way. */
  readonly fetches: readonly string[];
}

export interface RunResult {
  readonly outputs: TensorMap;
  /** Milliseconds inside the runtime, without queueing or transfer to the caller. */
  readonly ms: number;
}

export interface LoadOptions {
  readonly signal?: AbortSignal;
  /** Called as weights arrive: bytes done of bytes needed for this segment. */
  readonly onProgress?: (done: number, total: number) => void;
}

export interface SpanRunner {
  readonly provider: ExecutionProvider;
  /** Threads in use; 1 where the page is not cross-origin isolated. */
  readonly threads: number;
  /** Fetches weights and builds the sessions of a segment; does nothing when that is done. */
  load(segment: Segment, options?: LoadOptions): Promise<void>;
  /** Frees the sessions of a segment. Unknown segments are ignored. */
  unload(segment: Segment): Promise<void>;
  /** A fresh, empty state. */
  openState(): Promise<StateId>;
  /** Forgets a state; unknown ids are ignored. */
  closeState(state: StateId): Promise<void>;
  /**
   * A copy of positions `[from, to)` of the state of a segment's blocks, loaded or not, by the names of
   * the step graph's inputs. Throws `unsupported-model` where the state is not made of positions,
   * `bad-option` for positions that it does not hold, `unknown-session`. Runners that only pass runs on
   * may lack it.
   */
  readState?(state: StateId, segment: Segment, from: number, to: number): Promise<TensorMap>;
  /** Puts such a copy in place from position `from` on; what the state held beyond is dropped. */
  writeState?(state: StateId, segment: Segment, from: number, tensors: TensorMap): Promise<void>;
  /**
   * Runs one phase of a loaded segment. Throws `run-failed`, `bad-tensor`, `unknown-session`,
   * `worker-lost`, `closed`, and `bad-option` for a position that the state cannot be set to.
   */
  run(request: RunRequest): Promise<RunResult>;
  /** Ends everything; in-flight calls reject with `closed`. */
  close(): Promise<void>;
}

/** A runner that runs things itself: it can tell what it has loaded, and hands out its state. */
export interface SegmentRunner extends SpanRunner {
  readonly readState: NonNullable<SpanRunner['readState']>;
  readonly writeState: NonNullable<SpanRunner['writeState']>;
  /** Segments that can be run, in no particular order. */
  loaded(): readonly Segment[];
}

/** Where a runner gets the package's bytes from: a verified cache in the browser, files in Node. */
export interface PackageSource {
  /** The bytes of a file that the manifest names, hash already verified. */
  read(path: string, options?: LoadOptions): Promise<Uint8Array>;
}

export interface GenerateRequest {
  /** Inputs of the first stage. */
  readonly inputs: TensorMap;
  /** Tokens known already; they are replayed and not reported. */
  readonly prefix: readonly number[];
  /** Of the whole answer, `prefix` included. */
  readonly maxTokens: number;
}

export interface GenerateResult {
  /** Outputs of a model without a token loop; else empty. */
  readonly outputs: TensorMap;
  /** New tokens, those of `prefix` not among them. */
  readonly tokens: readonly number[];
  /** Runtime ms by `stage:from-to:phase`. */
  readonly segmentMs: Readonly<Record<string, number>>;
}

export interface GenerateOptions {
  readonly onToken: (token: number) => void;
  readonly signal?: AbortSignal;
}

/** A runner on the user's device, together with the package that it reads from. */
export interface DeviceRunner extends SpanRunner {
  /**
   * Starts the runtime, which may have to be fetched first; does nothing when that is done. Whatever runs something
   * starts it too. Throws `no-provider`, from then on for good: only another runner can start after that.
   */
  start(): Promise<void>;
  /** Fetches files of the package into the persistent cache; progress counts the missing bytes. */
  fetchFiles(paths: readonly string[], options?: LoadOptions): Promise<void>;
  /** Of each of these files the bytes that are not on this device. */
  missingBytes(paths: readonly string[]): Promise<readonly number[]>;
  readFile(path: string, options?: LoadOptions): Promise<Uint8Array>;
  /** The package's tokenizer on the runner's thread. Absent where that is the caller's own. */
  readonly words?: Words;
  /** A whole request on this device; see `generate.ts`. All blocks must be loaded. */
  generate(request: GenerateRequest, options: GenerateOptions): Promise<GenerateResult>;
  /** State for one text, kept beside the runtime; it runs on whatever segments are loaded by then. */
  openLane(): Promise<Lane>;
  /** Resolves with the reason when the runner has ended, wanted or not. */
  readonly ended: Promise<IsthmusError>;
}
