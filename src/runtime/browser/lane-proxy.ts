/** The page's side of a lane that lives in the worker. Its calls end with the worker, as all others do. */
import type { Span } from '../../core/span.ts';
import type { TensorMap } from '../../core/tensor.ts';
import type { Manifest } from '../../package/manifest.ts';
import type { ForwardRequest, ForwardResult, Lane, LoopOptions, LoopRequest, LoopResult } from '../lane.ts';
import { loopOf } from '../lane-check.ts';
import { FilledBlocks } from '../lane-filled.ts';
import type { LaneAnswer, LaneId } from './worker-api.ts';
import { type WorkerCalls, withPasses } from './worker-calls.ts';
import type { RemoteWorker } from './worker-link.ts';

type Signal = { readonly signal?: AbortSignal };

export async function openLaneProxy(calls: WorkerCalls, manifest: Manifest): Promise<Lane> {
  const { stage } = loopOf(manifest);
  const id = await calls.call((remote) => remote.openLane());
  return new LaneProxy(calls, id, FilledBlocks.ofStage(stage));
}

class LaneProxy implements Lane {
  readonly #calls: WorkerCalls;
  readonly #id: LaneId;
  /** As of the last answer: what runs just now is not in it. */
  readonly #filled: FilledBlocks;

  constructor(calls: WorkerCalls, id: LaneId, filled: FilledBlocks) {
    this.#calls = calls;
    this.#id = id;
    this.#filled = filled;
  }

  forward(request: ForwardRequest, { signal }: Signal = {}): Promise<ForwardResult> {
    return this.#ask(signal, (remote, job) => remote.laneForward(this.#id, request, job));
  }

  async loop(request: LoopRequest, { signal, onPass }: LoopOptions): Promise<LoopResult> {
    if (signal?.aborted) return { tokens: [], reason: 'stopped', ms: 0, drafted: 0, accepted: 0 };
    return withPasses(onPass, (tell) =>
      this.#ask(signal, (remote, job) => remote.laneLoop(this.#id, request, job, tell)),
    );
  }

  filled(span: Span): number {
    return this.#filled.of(span);
  }

  readState(span: Span, from: number, to: number): Promise<TensorMap> {
    return this.#ask(undefined, (remote) => remote.laneReadState(this.#id, span, from, to));
  }

  writeState(span: Span, from: number, tensors: TensorMap): Promise<void> {
    return this.#ask(undefined, (remote) => remote.laneWriteState(this.#id, span, from, tensors));
  }

  async close(): Promise<void> {
    this.#filled.take([]);
    // A worker that has ended took the state along.
    if (!this.#calls.isOver) await this.#calls.call((remote) => remote.closeLane(this.#id));
  }

  #ask<T>(
    signal: AbortSignal | undefined,
    work: (remote: RemoteWorker, job: number) => Promise<LaneAnswer<T>>,
  ): Promise<T> {
    return this.#calls.job(signal, async (remote, job) => {
      const { outcome, filled } = await work(remote, job);
      this.#filled.take(filled);
      return outcome;
    });
  }
}
