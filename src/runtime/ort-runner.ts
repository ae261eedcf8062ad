/**
 * The span runner on onnxruntime, native or web: the two differ only in how a session is made and in
 * where state lies. One session per segment and phase; state stays in its store and never crosses.
 */
import type { Tensor as OrtTensor, TensorConstructor } from 'onnxruntime-common';
import type { Clock } from '../core/clock.ts';
import type { Segment } from '../core/span.ts';
import type { Tensor, TensorMap } from '../core/tensor.ts';
import { IsthmusError } from '../errors.ts';
import type { Manifest, StateEntry } from '../package/manifest.ts';
import { stageAt, statesOf } from '../package/segments.ts';
import { InTurn } from './in-turn.ts';
import { neededFeed } from './needed-feed.ts';
import {
  type CreateSession,
  type LoadedPhase,
  type LoadedSegment,
  releaseSegment,
  runFailure,
  SegmentBuilder,
} from './ort-segment.ts';
import { fromOrt, toOrt } from './ort-tensor.ts';
import type {
  ExecutionProvider,
  LoadOptions,
  PackageSource,
  RunRequest,
  RunResult,
  SegmentRunner,
  StateId,
} from './runner.ts';
import { segmentKey } from './segment-key.ts';
import { SegmentShelf } from './segment-shelf.ts';
import type { WeightSharing } from './shared-weights.ts';
import { OrtState } from './state-ort.ts';
import { positionAxis, stateTensors } from './state-rows.ts';
import type { OpenStateStore, StateRun, StateStore } from './state-store.ts';

export type { CreateSession } from './ort-segment.ts';

export interface OrtRunnerOptions {
  readonly manifest: Manifest;
  readonly source: PackageSource;
  readonly provider: ExecutionProvider;
  readonly threads: number;
  readonly createSession: CreateSession;
  readonly Tensor: TensorConstructor;
  readonly clock: Clock;
  /**
   * Where state lies; by default `OrtState`, in the process's memory. Sessions for the default yield only
   * the new rows of `shared` state (`yieldRows`); those for a store of the backend's own yield all of it.
   */
  readonly openStore?: OpenStateStore;
  /** Weights of several sessions held once; only with stores that give them to the sessions. */
  readonly sharing?: WeightSharing;
}

interface OpenState {
  readonly store: StateStore;
  /** Runs over one state go one after another. */
  readonly turn: InTurn;
}

export class OrtRunner implements SegmentRunner {
  readonly provider: ExecutionProvider;
  readonly threads: number;
  readonly #options: OrtRunnerOptions;
  readonly #openStore: OpenStateStore;
  readonly #segments: SegmentShelf<LoadedSegment>;
  readonly #states = new Map<StateId, OpenState>();
  /** For segments that have no state and weights that only a store can give them. */
  #stateless: StateStore | undefined;
  #nextState = 1;
  #closed = false;

  constructor(options: OrtRunnerOptions) {
    this.#options = options;
    const builder = new SegmentBuilder({ ...options, newRowsOnly: options.openStore === undefined });
    this.#segments = new SegmentShelf({
      build: (segment, load) => builder.build(segment, load),
      release: releaseSegment,
      checkOpen: () => this.#checkOpen(),
    });
    this.provider = options.provider;
    this.threads = options.threads;
    const contextLength = options.manifest.text?.contextLength;
    const bound = contextLength === undefined ? {} : { contextLength };
    this.#openStore = options.openStore ?? (() => new OrtState({ Tensor: options.Tensor, ...bound }));
  }

  /** Segments whose sessions stand, in no particular order. */
  loaded(): readonly Segment[] {
    return this.#segments.ready();
  }

  async load(segment: Segment, options: LoadOptions = {}): Promise<void> {
    await this.#segments.load(segment, options);
  }

  unload(segment: Segment): Promise<void> {
    return this.#segments.unload(segment);
  }

  async openState(): Promise<StateId> {
    this.#checkOpen();
    const id = this.#nextState;
    this.#nextState += 1;
    this.#states.set(id, { store: this.#openStore(), turn: new InTurn() });
    return id;
  }

  async closeState(id: StateId): Promise<void> {
    const state = this.#states.get(id);
    this.#states.delete(id);
    // Not under a run that still writes to it.
    await state?.turn.do(() => state.store.close());
  }

  async readState(id: StateId, segment: Segment, from: number, to: number): Promise<TensorMap> {
    const entries = this.#positioned(segment);
    return this.#inState(id, async (store) => {
      const tensors: Record<string, Tensor> = {};
      for (const entry of entries) tensors[entry.input] = await store.read(entry, from, to);
      return tensors;
    });
  }

  async writeState(id: StateId, segment: Segment, from: number, tensors: TensorMap): Promise<void> {
    const given = stateTensors(this.#positioned(segment), tensors);
    return this.#inState(id, async (store) => {
      for (const [entry, tensor] of given) await store.write(entry, from, tensor);
    });
  }

  async run(request: RunRequest): Promise<RunResult> {
    this.#checkOpen();
    const phase = (await this.#segments.get(request.segment))?.get(request.phase);
    if (phase === undefined) {
      throw new IsthmusError(
        'run-failed',
        `segment ${segmentKey(request.segment)} is not loaded for '${request.phase}'`,
      );
    }
    const { results, ms } = await this.#runPhase(phase, request);
    const outputs: Record<string, Tensor> = {};
    for (const name of request.fetches) {
      const made = results[name];
      const passed = request.feeds[name];
      if (made !== undefined) outputs[name] = fromOrt(name, made);
      else if (passed !== undefined) outputs[name] = passed;
    }
    return { outputs, ms };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const closing = [...this.#states.keys()].map((id) => this.closeState(id));
    await Promise.all([this.#segments.clear(), ...closing]);
    await this.#stateless?.close();
  }

  #checkOpen(): void {
    if (this.#closed) throw new IsthmusError('closed', 'the runner was closed');
  }

  #inState<T>(id: StateId | undefined, work: (store: StateStore) => Promise<T>): Promise<T> {
    this.#checkOpen();
    const state = id === undefined ? undefined : this.#states.get(id);
    if (state === undefined)
      throw new IsthmusError('unknown-session', `there is no state ${id ?? '(none given)'}`);
    return state.turn.do(() => work(state.store));
  }

  #positioned(segment: Segment): readonly StateEntry[] {
    const entries = statesOf(stageAt(this.#options.manifest, segment.stage), segment);
    for (const entry of entries) positionAxis(entry);
    return entries;
  }

  async #runPhase(
    phase: LoadedPhase,
    request: RunRequest,
  ): Promise<{ readonly results: Readonly<Record<string, OrtTensor>>; readonly ms: number }> {
    const { session, reads, writes, held } = phase;
    const { at } = request;
    const fetches = [...new Set(request.fetches)].filter((name) => !phase.passed.has(name));
    const run = async (feeds: StateRun['feeds'], store: StateStore | undefined) => {
      this.#checkOpen();
      const started = this.#options.clock.now();
      const results = await this.#guarded(async () => {
        if (session === undefined) return {};
        if (store !== undefined) {
          const more = { ...(at === undefined ? {} : { at }), ...(held === undefined ? {} : { held }) };
          return store.run({ session, feeds, fetches, reads, writes, ...more });
        }
        return fetches.length === 0 ? {} : session.run(feeds, fetches);
      });
      this.#checkOpen();
      return { results, ms: this.#options.clock.now() - started };
    };
    const prepared = (): StateRun['feeds'] => {
      const feeds = this.#feeds(request, phase);
      for (const name of fetches) {
        if (!phase.outputs.has(name))
          throw new IsthmusError('bad-tensor', `the segment does not yield '${name}'`);
      }
      return feeds;
    };
    if (reads.length === 0 && writes.length === 0) {
      if (held !== undefined) this.#stateless ??= this.#openStore();
      return run(prepared(), held === undefined ? undefined : this.#stateless);
    }
    return this.#inState(request.state, (store) => run(prepared(), store));
  }

  async #guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      // A session that is released under a run fails it in words of its own.
      this.#checkOpen();
      throw runFailure(`the runtime failed on '${this.provider}'`, error);
    }
  }

  #feeds(request: RunRequest, phase: LoadedPhase): Record<string, OrtTensor> {
    const feeds: Record<string, OrtTensor> = {};
    const state = new Set(phase.reads.map((entry) => entry.input));
    for (const name of phase.inputs) {
      if (state.has(name)) continue;
      feeds[name] = toOrt(neededFeed(request.feeds, name), this.#options.Tensor);
    }
    return feeds;
  }
}
