/** What the worker offers and how results travel: comlink drops everything of an error but its text. */
import type { Lexicon } from '../../core/lexicon.ts';
import type { Segment, Span } from '../../core/span.ts';
import type { TensorMap } from '../../core/tensor.ts';
import { fromWireError, toWireError, type WireError } from '../../errors.ts';
import type { Manifest } from '../../package/manifest.ts';
import type { ForwardRequest, ForwardResult, LoopPass, LoopRequest, LoopResult } from '../lane.ts';
import type { GenerateRequest, GenerateResult, RunRequest, RunResult, StateId } from '../runner.ts';
import type { WordsMessages } from '../words.ts';
import type { WebProvider } from './ort-web.ts';

export type Outcome<T> = { readonly value: T } | { readonly error: WireError };

export interface OpenRequest {
  /** Absolute URL of the package. */
  readonly packageUrl: string;
  readonly provider: WebProvider;
  readonly threads: number;
  readonly wasmPaths?: string;
}

export interface Opened {
  readonly manifest: Manifest;
  /** The network failed and the manifest is that of an earlier visit. */
  readonly fromCache: boolean;
  readonly threads: number;
}

export type LentManifest = () => Promise<Outcome<Uint8Array<ArrayBuffer>>>;

export type Progress = (done: number, total: number) => void;

/** Names one lane in the worker. */
export type LaneId = number;

/** What became of a call to a lane, and what each block of the loop holds after it. */
export interface LaneAnswer<T> {
  readonly outcome: Outcome<T>;
  readonly filled: readonly number[];
}

/** See `lane.ts`; calls that a signal can end carry a `job`. */
export interface LaneApi {
  openLane(): Promise<Outcome<LaneId>>;
  laneForward(lane: LaneId, request: ForwardRequest, job: number): Promise<LaneAnswer<ForwardResult>>;
  laneLoop(
    lane: LaneId,
    request: LoopRequest,
    job: number,
    onPass: (pass: LoopPass) => void,
  ): Promise<LaneAnswer<LoopResult>>;
  laneReadState(lane: LaneId, span: Span, from: number, to: number): Promise<LaneAnswer<TensorMap>>;
  laneWriteState(lane: LaneId, span: Span, from: number, tensors: TensorMap): Promise<LaneAnswer<void>>;
  closeLane(lane: LaneId): Promise<Outcome<void>>;
}

/** Long calls carry a `job`, by which `cancel` ends them. */
export interface WorkerApi extends LaneApi {
  /** @param manifest as the page fetches it, since before this worker was there; else it is fetched here */
  open(request: OpenRequest, job: number, manifest?: LentManifest): Promise<Outcome<Opened>>;
  /** Starts the runtime; so does whatever runs something. */
  start(): Promise<Outcome<void>>;
  /** Fetches files of the package into the cache. */
  fetchFiles(paths: readonly string[], job: number, progress: Progress): Promise<Outcome<void>>;
  missingBytes(paths: readonly string[]): Promise<Outcome<readonly number[]>>;
  /** The bytes of one file, e.g. the tokenizer. */
  readFile(path: string, job: number): Promise<Outcome<Uint8Array>>;
  /** The package's words; see `Words`. */
  lexicon(): Promise<Outcome<Lexicon>>;
  encode(text: string, special: boolean): Promise<Outcome<readonly number[]>>;
  chat(messages: WordsMessages): Promise<Outcome<string>>;
  load(segment: Segment, job: number, progress: Progress): Promise<Outcome<void>>;
  unload(segment: Segment): Promise<Outcome<void>>;
  openState(): Promise<Outcome<StateId>>;
  closeState(state: StateId): Promise<Outcome<void>>;
  run(request: RunRequest): Promise<Outcome<RunResult>>;
  generate(
    request: GenerateRequest,
    job: number,
    onToken: (token: number) => void,
  ): Promise<Outcome<GenerateResult>>;
  cancel(job: number): Promise<void>;
  close(): Promise<Outcome<void>>;
}

/** Runs work and puts what came of it in an envelope that survives the boundary. */
export async function outcome<T>(work: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return { value: await work() };
  } catch (error) {
    return { error: toWireError(error) };
  }
}

export function unwrap<T>(result: Outcome<T>): T {
  if ('error' in result) throw fromWireError(result.error);
  return result.value;
}
