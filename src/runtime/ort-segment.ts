/** From a segment to its sessions: one per phase, made of the composed graph and the shards it needs. */
import type { InferenceSession } from 'onnxruntime-common';
import type { Phase, Segment } from '../core/span.ts';
import { IsthmusError, isIsthmusError, throwIfAborted } from '../errors.ts';
import type { ModelGraph } from '../graph/model-graph.ts';
import { toModelGraph } from '../graph/model-graph.ts';
import { readModel } from '../graph/onnx-read.ts';
import { writeModel } from '../graph/onnx-write.ts';
import type { Manifest, StateEntry } from '../package/manifest.ts';
import { segmentGraph } from '../package/segment-graph.ts';
import { graphFile, phasesOf, segmentPhase, stageAt, statesOf } from '../package/segments.ts';
import type { ExecutionProvider, LoadOptions, PackageSource } from './runner.ts';
import { segmentKey } from './segment-key.ts';
import { type HeldWeights, sharedShards, splitShared, type WeightSharing } from './shared-weights.ts';
import { yieldRows } from './yield-rows.ts';

/** Makes a session from a composed graph and the shards that it points to. */
export type CreateSession = (
  model: Uint8Array,
  shards: readonly { readonly path: string; readonly data: Uint8Array }[],
  /** Configuration entries of the session, as `extra` in onnxruntime's options. */
  extra: Record<string, unknown>,
) => Promise<InferenceSession>;

export interface LoadedPhase {
  /** Absent where the segment has nothing to compute in this phase and only hands values on. */
  readonly session?: InferenceSession;
  readonly inputs: readonly string[];
  readonly outputs: ReadonlySet<string>;
  /** Results that are inputs as they stand. */
  readonly passed: ReadonlySet<string>;
  /** State inputs to feed, and state outputs to keep under the name of the input they become. */
  readonly reads: readonly StateEntry[];
  readonly writes: readonly StateEntry[];
  /** Weights that are inputs of the session, in memory that others use as well. */
  readonly held?: HeldWeights;
}

export type LoadedSegment = ReadonlyMap<Phase, LoadedPhase>;

export interface SegmentBuilderOptions {
  readonly manifest: Manifest;
  readonly source: PackageSource;
  readonly provider: ExecutionProvider;
  readonly createSession: CreateSession;
  /** Sessions yield of `shared` state only the rows that they add; see `yieldRows`. */
  readonly newRowsOnly: boolean;
  /** Where the backend can hold weights that several sessions use. */
  readonly sharing?: WeightSharing;
}

export class SegmentBuilder {
  readonly #options: SegmentBuilderOptions;
  readonly #graphs = new Map<string, Promise<ModelGraph>>();
  readonly #sharedShards: ReadonlySet<string>;

  constructor(options: SegmentBuilderOptions) {
    this.#options = options;
    this.#sharedShards = sharedShards(options.manifest);
  }

  /** Frees what it had built when it fails or is aborted. */
  async build(segment: Segment, options: LoadOptions): Promise<LoadedSegment> {
    const stage = stageAt(this.#options.manifest, segment.stage);
    const phases = new Map<Phase, LoadedPhase>();
    try {
      for (const phase of phasesOf(stage)) {
        throwIfAborted(options.signal);
        phases.set(phase, await this.#buildPhase(segment, phase, options));
      }
      return phases;
    } catch (error) {
      await releaseSegment(phases);
      throw error;
    }
  }

  async #buildPhase(segment: Segment, phase: Phase, options: LoadOptions): Promise<LoadedPhase> {
    const { manifest, source, createSession, newRowsOnly, sharing } = this.#options;
    const stage = stageAt(manifest, segment.stage);
    const { states } = segmentPhase(manifest, segment, phase);
    const reads = phase === 'step' ? statesOf(stage, segment) : [];
    const graph = await this.#graph(graphFile(stage, phase), options);
    const composed = segmentGraph(manifest, graph, segment, phase);
    const whole = newRowsOnly ? yieldRows(composed.model, states) : composed.model;
    const { model, weights } =
      sharing === undefined ? { model: whole, weights: [] } : splitShared(whole, this.#sharedShards);
    const needed = new Set(model.graph.initializers.flatMap((tensor) => tensor.external?.location ?? []));
    const shards: { path: string; data: Uint8Array }[] = [];
    for (const path of needed) shards.push({ path, data: await source.read(path, options) });
    throwIfAborted(options.signal);
    const held =
      weights.length === 0 ? undefined : await sharing?.hold(weights, (path) => source.read(path, options));
    let session: InferenceSession | undefined;
    try {
      throwIfAborted(options.signal);
      if (composed.outputs.length > 0) {
        const make = () => createSession(writeModel(model), shards, sessionExtra(graph));
        session = await this.#makeSession(make, segment);
      }
    } catch (error) {
      held?.release();
      throw error;
    }
    return {
      ...(session === undefined ? {} : { session }),
      ...(held === undefined ? {} : { held }),
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
      const { provider } = this.#options;
      throw runFailure(`segment ${segmentKey(segment)} could not be built on '${provider}'`, error);
    }
  }
}

export async function releaseSegment(segment: LoadedSegment): Promise<void> {
  for (const { session, held } of segment.values()) {
    await session?.release();
    held?.release();
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

/** One of our errors as it is; anything that the runtime throws as `run-failed`. */
export function runFailure(what: string, error: unknown): IsthmusError {
  if (isIsthmusError(error)) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new IsthmusError('run-failed', `${what}: ${reason}`, { cause: error });
}
