/**
 * What the endpoint and its worker say to each other, as one union per direction. The worker holds the
 * runner and asks for the package's files; the endpoint holds the files and asks for work.
 */
import type { Segment, Span } from '../../core/span.ts';
import type { TensorMap } from '../../core/tensor.ts';
import type { WireError } from '../../errors.ts';
import type { Manifest } from '../../package/manifest.ts';
import type { ForwardRequest, ForwardResult, LoopPass, LoopResult, TurnRequest } from '../../runtime/lane.ts';
import type { RunRequest, RunResult, StateId } from '../../runtime/runner.ts';

/** Given to the worker when it starts. */
export interface WorkerSetup {
  readonly manifest: Manifest;
  readonly threads: number;
}

/** Work to do, with what it takes and what it yields. */
export interface Calls {
  load: { readonly takes: Segment; readonly yields: undefined };
  unload: { readonly takes: Segment; readonly yields: undefined };
  openState: { readonly takes: undefined; readonly yields: StateId };
  closeState: { readonly takes: StateId; readonly yields: undefined };
  run: { readonly takes: RunRequest; readonly yields: RunResult };
  close: { readonly takes: undefined; readonly yields: undefined };
  forward: {
    readonly takes: { readonly lane: LaneId; readonly request: ForwardRequest };
    readonly yields: ForwardResult;
  };
  /** What its passes bring comes first, each as a `pass`. */
  loop: {
    readonly takes: { readonly lane: LaneId; readonly request: TurnRequest };
    readonly yields: LoopResult;
  };
  readState: {
    readonly takes: {
      readonly lane: LaneId;
      readonly span: Span;
      readonly from: number;
      readonly to: number;
    };
    readonly yields: TensorMap;
  };
  writeState: {
    readonly takes: {
      readonly lane: LaneId;
      readonly span: Span;
      readonly from: number;
      readonly tensors: TensorMap;
    };
    readonly yields: undefined;
  };
  closeLane: { readonly takes: LaneId; readonly yields: undefined };
}

/** Chosen by the endpoint; the worker makes the lane at its first call. */
export type LaneId = number;

export type CallName = keyof Calls;

export type Call = {
  [name in CallName]: {
    readonly kind: 'call';
    readonly id: number;
    readonly name: name;
    readonly argument: Calls[name]['takes'];
  };
}[CallName];

export type ToWorker =
  | Call
  /** The caller of a load no longer wants it; a forward or loop is to end where it can. */
  | { readonly kind: 'abort'; readonly id: number }
  | { readonly kind: 'file'; readonly id: number; readonly bytes: Uint8Array }
  | { readonly kind: 'no-file'; readonly id: number; readonly error: WireError };

export type FromWorker =
  | { readonly kind: 'result'; readonly id: number; readonly value: Calls[CallName]['yields'] }
  | { readonly kind: 'failure'; readonly id: number; readonly error: WireError }
  | { readonly kind: 'progress'; readonly id: number; readonly done: number; readonly total: number }
  | { readonly kind: 'pass'; readonly id: number; readonly pass: LoopPass }
  | { readonly kind: 'read'; readonly id: number; readonly path: string };

/** The half of a `MessagePort` or `Worker` that both sides use. */
export interface Port<Out, In> {
  postMessage(message: Out, transfer: readonly ArrayBuffer[]): void;
  on(event: 'message', handler: (message: In) => void): unknown;
}
