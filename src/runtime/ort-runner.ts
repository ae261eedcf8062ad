/**
 * The span runner on onnxruntime, native or web: the two differ only in how a session is made. One
 * session per segment and phase; state stays here as the runtime's own tensors and never crosses.
 */
import type { InferenceSession, Tensor as OrtTensor, TensorConstructor } from 'onnxruntime-common';
import type { Clock } from '../core/clock.ts';
import type { Phase, Segment } from '../core/span.ts';
import { DTYPE_BYTES, elementCount, makeTensor, type Tensor } from '../core/tensor.ts';
import { IsthmusError, isIsthmusError, throwIfAborted } from '../errors.ts';
import { composeSegment } from '../graph/compose.ts';
import type { ModelGraph } from '../graph/model-graph.ts';
import { toModelGraph } from '../graph/model-graph.ts';
import { readModel } from '../graph/onnx-read.ts';
import { writeModel } from '../graph/onnx-write.ts';
import type { Manifest, StateEntry } from '../package/manifest.ts';
import { graphFile, phasesOf, segmentPhase, stageAt, statesOf } from '../package/segments.ts';
import { fromOrt, toOrt } from './ort-tensor.ts';
import type {
  ExecutionProvider,
  LoadOptions,
  PackageSource,
  RunRequest,
  RunResult,
  SpanRunner,
  StateId,
} from './runner.ts';
import { segmentKey } from './segment-key.ts';

/** Makes a session from a composed graph and the shards that it points to. */
export type CreateSession = (
  model: Uint8Array,
  shards: readonly { readonly path: string; readonly data: Uint8Array }[],
  /** Configuration entries of the session, as `extra` in onnxruntime's options. */
  extra: Record<string, unknown>,
) => Promise<InferenceSession>;

export interface OrtRunnerOptions {
  readonly manifest: Manifest;
  readonly source: PackageSource;
  readonly provider: ExecutionProvider;
  readonly threads: number;
  readonly createSession: CreateSession;
  readonly Tensor: TensorConstructor;
  readonly clock: Clock;
}

interface LoadedPhase {
  /** Absent where the segment has nothing to compute in this phase and only hands values on. */
  readonly session?: InferenceSession;
  readonly inputs: readonly string[];
  readonly outputs: ReadonlySet<string>;
  /** Results that are inputs as they stand. */
  readonly passed: ReadonlySet<string>;
  /** State inputs to feed, and state outputs to keep under the name of the input they become. */
  readonly reads: readonly StateEntry[];
  readonly writes: readonly StateEntry[];
}

type State = Map<string, OrtTensor>;

export class OrtRunner implements SpanRunner {
  readonly provider: ExecutionProvider;
  readonly threads: number;
  readonly #options: OrtRunnerOptions;
  readonly #segments = new Map<string, Promise<ReadonlyMap<Phase, LoadedPhase>>>();
  readonly #graphs = new Map<string, Promise<ModelGraph>>();
  readonly #states = new Map<StateId, State>();
  #nextState = 1;
  #closed = false;

  constructor(options: OrtRunnerOptions) {
    this.#options = options;
    this.provider = options.provider;
    this.threads = options.threads;
  }

  async load(segment: Segment, options: LoadOptions = {}): Promise<void> {
    this.#checkOpen();
    const key = segmentKey(segment);
    let loading = this.#segments.get(key);
    if (loading === undefined) {
      const mine = this.#build(segment, options);
      loading = mine;
      this.#segments.set(key, mine);
      // A failed load may be tried again; an unhandled copy of the failure must not end the process.
      mine.catch(() => {
        if (this.#segments.get(key) === mine) this.#segments.delete(key);
      });
    }
    try {
      await loading;
    } catch (error) {
      this.#checkOpen();
      throwIfAborted(options.signal);
      // Whoever began the load gave it up; those who joined it have not.
      if (isIsthmusError(error) && error.code === 'aborted') return this.load(segment, options);
      throw error;
    }
    this.#checkOpen();
    throwIfAborted(options.signal);
  }

  async unload(segment: Segment): Promise<void> {
    const key = segmentKey(segment);
    const loading = this.#segments.get(key);
    this.#segments.delete(key);
    // One that failed has freed what it had, and told whoever asked for it.
    const phases = await loading?.catch(() => undefined);
    for (const phase of phases?.values() ?? []) await phase.session?.release();
  }

  async openState(): Promise<StateId> {
    this.#checkOpen();
    const id = this.#nextState;
    this.#nextState += 1;
    this.#states.set(id, new Map());
    return id;
  }

  async closeState(id: StateId): Promise<void> {
    const state = this.#states.get(id);
    this.#states.delete(id);
    for (const tensor of state?.values() ?? []) tensor.dispose();
  }

  async run(request: RunRequest): Promise<RunResult> {
    this.#checkOpen();
    const phase = (await this.#segments.get(segmentKey(request.segment)))?.get(request.phase);
    if (phase === undefined) {
      throw new IsthmusError(
        'run-failed',
        `segment ${segmentKey(request.segment)} is not loaded for '${request.phase}'`,
      );
    }
    const state = this.#stateFor(request, phase);
    const feeds = this.#feeds(request, phase, state);
    const wanted = request.fetches.filter((name) => !phase.passed.has(name));
    const fetches = [...wanted, ...phase.writes.map((entry) => entry.output)];
    for (const name of fetches) {
      if (!phase.outputs.has(name))
        throw new IsthmusError('bad-tensor', `the segment does not yield '${name}'`);
    }
    const started = this.#options.clock.now();
    const results = await this.#runSession(phase.session, feeds, [...new Set(fetches)]);
    this.#checkOpen();
    const ms = this.#options.clock.now() - started;
    for (const entry of phase.writes) this.#keep(state, entry, results[entry.output]);
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
    const loading = [...this.#segments.values()];
    this.#segments.clear();
    for (const id of [...this.#states.keys()]) await this.closeState(id);
    for (const result of await Promise.allSettled(loading)) {
      if (result.status !== 'fulfilled') continue;
      for (const phase of result.value.values()) await phase.session?.release();
    }
  }

  #checkOpen(): void {
    if (this.#closed) throw new IsthmusError('closed', 'the runner was closed');
  }

  async #build(segment: Segment, options: LoadOptions): Promise<ReadonlyMap<Phase, LoadedPhase>> {
    const { manifest } = this.#options;
    const stage = stageAt(manifest, segment.stage);
    const phases = new Map<Phase, LoadedPhase>();
    try {
      for (const phase of phasesOf(stage)) {
        throwIfAborted(options.signal);
        phases.set(phase, await this.#buildPhase(segment, phase, options));
      }
      return phases;
    } catch (error) {
      for (const built of phases.values()) await built.session?.release();
      throw error;
    }
  }

  async #buildPhase(segment: Segment, phase: Phase, options: LoadOptions): Promise<LoadedPhase> {
    const { manifest, source, createSession } = this.#options;
    const stage = stageAt(manifest, segment.stage);
    const { given, results, states } = segmentPhase(manifest, segment, phase);
    const reads = phase === 'step' ? statesOf(stage, segment) : [];
    const graph = await this.#graph(graphFile(stage, phase), options);
    const targets = [
      ...results,
      ...states.map((state) => ({ name: state.output, dtype: state.dtype, dims: state.dims })),
    ];
    const composed = composeSegment(graph, given, targets);
    const needed = new Set(
      composed.model.graph.initializers.flatMap((tensor) => tensor.external?.location ?? []),
    );
    const shards: { path: string; data: Uint8Array }[] = [];
    for (const path of needed) shards.push({ path, data: await source.read(path, options) });
    throwIfAborted(options.signal);
    const session =
      composed.outputs.length === 0
        ? undefined
        : await this.#makeSession(
            () => createSession(writeModel(composed.model), shards, sessionExtra(graph)),
            segment,
          );
    return {
      ...(session === undefined ? {} : { session }),
      inputs: composed.inputs,
      outputs: new Set(composed.outputs),
      passed: new Set(composed.passed),
      reads: reads.filter((state) => composed.inputs.includes(state.input)),
      writes: states,
    };
  }

  #graph(file: string, options: LoadOptions): Promise<ModelGraph> {
    let reading = this.#graphs.get(file);
    if (reading === undefined) {
      reading = this.#options.source.read(file, options).then((bytes) => toModelGraph(readModel(bytes)));
      this.#graphs.set(file, reading);
      reading.catch(() => this.#graphs.delete(file));
    }
    return reading;
  }

  async #makeSession(make: () => Promise<InferenceSession>, segment: Segment): Promise<InferenceSession> {
    try {
      return await make();
    } catch (error) {
      throw runFailure(`segment ${segmentKey(segment)} could not be built on '${this.provider}'`, error);
    }
  }

  async #runSession(
    session: InferenceSession | undefined,
    feeds: Record<string, OrtTensor>,
    fetches: readonly string[],
  ): Promise<InferenceSession.OnnxValueMapType> {
    if (session === undefined || fetches.length === 0) return {};
    try {
      return await session.run(feeds, [...fetches]);
    } catch (error) {
      // A session that is released under a run fails it in words of its own.
      this.#checkOpen();
      throw runFailure(`the runtime failed on '${this.provider}'`, error);
    }
  }

  #stateFor(request: RunRequest, phase: LoadedPhase): State {
    if (phase.reads.length === 0 && phase.writes.length === 0) return new Map();
    const state = request.state === undefined ? undefined : this.#states.get(request.state);
    if (state === undefined)
      throw new IsthmusError('unknown-session', `there is no state ${request.state ?? '(none given)'}`);
    return state;
  }

  #feeds(request: RunRequest, phase: LoadedPhase, state: State): Record<string, OrtTensor> {
    const { Tensor } = this.#options;
    const feeds: Record<string, OrtTensor> = {};
    const reads = new Map(phase.reads.map((entry) => [entry.input, entry]));
    for (const name of phase.inputs) {
      const entry = reads.get(name);
      if (entry !== undefined) {
        feeds[name] = state.get(name) ?? toOrt(emptyState(entry), Tensor);
        continue;
      }
      const given = request.feeds[name];
      if (given === undefined) {
        throw new IsthmusError('bad-tensor', `the segment needs the input '${name}'`, { details: { name } });
      }
      feeds[name] = toOrt(given, Tensor);
    }
    return feeds;
  }

  #keep(state: State, entry: StateEntry, made: OrtTensor | undefined): void {
    if (made === undefined)
      throw new IsthmusError('run-failed', `the runtime did not yield the state '${entry.output}'`);
    state.get(entry.input)?.dispose();
    state.set(entry.input, made);
  }
}

/**
 * Session settings that must not depend on where the model is cut. onnxruntime turns a weight's
 * `DequantizeLinear` and the product that reads it into an operator that also rounds the activations to
 * 8 bits, but only where nothing else reads the weight's scale: a span with the tied embedding kept
 * the exact product, one without it did not, and scores differed by up to 0.2. Unless the whole
 * model is quantised in that form, these fusions are off, everywhere alike; the weight is then
 * dequantised once, while the session is built, instead of at every run.
 */
function sessionExtra(graph: ModelGraph): Record<string, unknown> {
  const isQdq = graph.nodes.some((node) => node.opType === 'QuantizeLinear');
  return isQdq ? {} : { session: { disable_quant_qdq: '1' } };
}

function emptyState(entry: StateEntry): Tensor {
  if (entry.origin === 'init') {
    throw new IsthmusError('run-failed', `'${entry.input}' is read before the init phase filled it`);
  }
  const dims = entry.dims.map((dim) => dim ?? 0);
  return makeTensor(entry.dtype, dims, new Uint8Array(elementCount(dims) * DTYPE_BYTES[entry.dtype]));
}

function runFailure(what: string, error: unknown): IsthmusError {
  if (isIsthmusError(error)) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new IsthmusError('run-failed', `${what}: ${reason}`, { cause: error });
}
