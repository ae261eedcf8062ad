/**
 * The only importer of onnxruntime-web, for use inside a worker. Its builds are loaded on demand: the
 * plain WASM one is half the size of the one that can use WebGPU.
 */
import type { InferenceSession, TensorConstructor } from 'onnxruntime-common';
import { systemClock } from '../../core/clock.ts';
import { IsthmusError } from '../../errors.ts';
import { readModel } from '../../graph/onnx-read.ts';
import { dataTypeOf, type OnnxValue } from '../../graph/onnx-types.ts';
import { writeModel } from '../../graph/onnx-write.ts';
import type { Manifest } from '../../package/manifest.ts';
import { InTurn } from '../in-turn.ts';
import { type CreateSession, OrtRunner } from '../ort-runner.ts';
import type { PackageSource } from '../runner.ts';
import { OrtState } from '../state-ort.ts';
import type { OpenStateStore } from '../state-store.ts';
import { withoutSharing } from './resident-fallback.ts';
import { ResidentHeap } from './resident-heap.ts';
import { captureModule, type OrtModule } from './resident-module.ts';
import { nativeSession, runInHeap } from './resident-run.ts';
import { ResidentSharing } from './resident-sharing.ts';
import { ResidentState } from './resident-state.ts';
import { type MountedFile, mountWeights } from './resident-weights.ts';

export type WebProvider = 'wasm' | 'webgpu';

export interface WebRunnerOptions {
  readonly manifest: Manifest;
  readonly source: PackageSource;
  readonly provider: WebProvider;
  /** Used only where the page is cross-origin isolated; one thread otherwise. */
  readonly threads: number;
  /** Folder with onnxruntime-web's .wasm files, when they are not beside the script. */
  readonly wasmPaths?: string;
}

/** The part of onnxruntime-web's module that is used. */
interface Ort {
  readonly InferenceSession: {
    create(model: Uint8Array, options: InferenceSession.SessionOptions): Promise<InferenceSession>;
  };
  readonly Tensor: TensorConstructor;
  readonly env: {
    logLevel?: 'verbose' | 'info' | 'warning' | 'error' | 'fatal';
    readonly wasm: { numThreads?: number; proxy?: boolean; wasmPaths?: unknown };
  };
}

/** The runtime, loaded and compiled: what takes longest on a cold start and needs nothing of the package. */
export interface StartedRuntime {
  readonly ort: Ort;
  readonly provider: WebProvider;
  readonly threads: number;
  /**
   * The WASM heap, where state can stay between runs. Absent where it is out of reach: state then passes
   * through the public API, which copies it in and out at each run; results are the same.
   */
  readonly heap?: ResidentHeap;
  /** Offers the runtime a file of weights until the next session stands; absent where that is out of reach. */
  readonly mount?: (path: string, file: MountedFile) => void;
}

export type RuntimeOptions = Pick<WebRunnerOptions, 'provider' | 'threads' | 'wasmPaths'>;

/** Threads in use where `wanted` are asked for: without cross-origin isolation there is one. */
export function threadsHere(wanted: number): number {
  return globalThis.crossOriginIsolated === true ? Math.max(1, wanted) : 1;
}

/** Throws `no-provider` when the runtime cannot start with this provider here. */
export async function startRuntime(options: RuntimeOptions): Promise<StartedRuntime> {
  const { provider } = options;
  const threads = threadsHere(options.threads);
  const ort = await loadOrt(provider);
  ort.env.logLevel = 'error';
  ort.env.wasm.numThreads = threads;
  ort.env.wasm.proxy = false;
  if (options.wasmPaths !== undefined) ort.env.wasm.wasmPaths = options.wasmPaths;
  try {
    const { value, module } = await captureModule(() => startWith(ort, provider));
    const heap = provider === 'wasm' && module !== undefined ? new ResidentHeap(module) : undefined;
    const works = heap !== undefined && (await canRunInHeap(heap, value));
    await value.release();
    return { ort, provider, threads, ...(works ? { heap } : {}), ...mountOf(module) };
  } catch (error) {
    throw new IsthmusError('no-provider', `the runtime does not start with '${provider}' here`, {
      cause: error,
    });
  }
}

function mountOf(module: OrtModule | undefined): Pick<StartedRuntime, 'mount'> {
  return module === undefined ? {} : { mount: (path, file) => module.mountExternalData(path, file) };
}

/** The runtime has no call to start it: the first session does, however small. */
function startWith(ort: Ort, provider: WebProvider): Promise<InferenceSession> {
  return ort.InferenceSession.create(smallestModel(), { executionProviders: [provider] });
}

/** Whether what lies below the public API is as it is expected to be: tried before anything relies on it. */
async function canRunInHeap(heap: ResidentHeap, session: InferenceSession): Promise<boolean> {
  const native = nativeSession(session);
  if (native === undefined) return false;
  const x = heap.create('float32', [1]);
  try {
    const probe = Uint8Array.of(0, 0, 0x28, 0x42);
    heap.bytes(x).set(probe);
    const y = (await runInHeap(heap, native, new Map([['x', x]]), new Map([['y', undefined]]))).get('y');
    if (y === undefined) return false;
    const isSame = heap.bytes(y).every((byte, index) => byte === probe[index]);
    heap.release(y);
    return isSame;
  } catch {
    return false;
  } finally {
    heap.release(x);
  }
}

/** One node that hands on what it is given. */
function smallestModel(): Uint8Array {
  const node = {
    name: '',
    opType: 'Identity',
    domain: '',
    inputs: ['x'],
    outputs: ['y'],
    attributes: [],
    rest: [],
  };
  const value = (name: string): OnnxValue => ({ name, elemType: dataTypeOf('float32'), dims: [1] });
  return writeModel({
    irVersion: 7,
    opsets: [{ domain: '', version: 13 }],
    graph: {
      name: 'start',
      nodes: [node],
      initializers: [],
      inputs: [value('x')],
      outputs: [value('y')],
      hasSparse: false,
    },
    rest: [],
  });
}

export function createWebRunner(
  runtime: StartedRuntime,
  { manifest, source }: Pick<WebRunnerOptions, 'manifest' | 'source'>,
): OrtRunner {
  const { ort, provider, threads, heap } = runtime;
  return new OrtRunner({
    manifest,
    source,
    provider,
    threads,
    Tensor: ort.Tensor,
    openStore: stateStore(ort.Tensor, heap, manifest.text?.contextLength),
    clock: systemClock,
    createSession: sessionMaker(runtime),
    ...(heap === undefined ? {} : { sharing: new ResidentSharing(heap) }),
  });
}

/**
 * Sessions are made one after another: the runtime forgets all mounted weights when one stands, also those
 * of another on its way, and two at once would hold the weights of both.
 */
function sessionMaker({ ort, provider, mount }: StartedRuntime): CreateSession {
  const turn = new InTurn();
  return (model, shards, extra) =>
    turn.do(async () => {
      const options = { executionProviders: [provider], graphOptimizationLevel: 'all', extra } as const;
      if (mount === undefined) {
        const externalData = shards.map(({ path, data }) => ({ path, data }));
        return ort.InferenceSession.create(model, { ...options, externalData });
      }
      const weights = mountWeights(readModel(model), shards);
      try {
        for (const { path, file } of weights.files) mount(path, file);
        return await ort.InferenceSession.create(model, options);
      } finally {
        weights.close();
      }
    });
}

function stateStore(
  Tensor: TensorConstructor,
  heap: ResidentHeap | undefined,
  contextLength: number | undefined,
): OpenStateStore {
  const options = { Tensor, ...(contextLength === undefined ? {} : { contextLength }) };
  if (heap !== undefined) return () => new ResidentState({ heap, ...options });
  return () => withoutSharing(new OrtState(options), Tensor);
}

async function loadOrt(provider: WebProvider): Promise<Ort> {
  try {
    return provider === 'webgpu'
      ? await import('onnxruntime-web/webgpu')
      : await import('onnxruntime-web/wasm');
  } catch (error) {
    throw new IsthmusError('no-provider', `onnxruntime-web could not be loaded for '${provider}'`, {
      cause: error,
    });
  }
}
