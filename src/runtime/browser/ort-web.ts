/**
 * The only importer of onnxruntime-web, for use inside a worker. Its builds are loaded on demand: the
 * plain WASM one is half the size of the one that can use WebGPU.
 */
import type { InferenceSession, TensorConstructor } from 'onnxruntime-common';
import { systemClock } from '../../core/clock.ts';
import { IsthmusError } from '../../errors.ts';
import { dataTypeOf, type OnnxValue } from '../../graph/onnx-types.ts';
import { writeModel } from '../../graph/onnx-write.ts';
import type { Manifest } from '../../package/manifest.ts';
import { OrtRunner } from '../ort-runner.ts';
import type { PackageSource } from '../runner.ts';

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
}

export type RuntimeOptions = Pick<WebRunnerOptions, 'provider' | 'threads' | 'wasmPaths'>;

/** Throws `no-provider` when the runtime cannot start with this provider here. */
export async function startRuntime(options: RuntimeOptions): Promise<StartedRuntime> {
  const { provider } = options;
  const threads = globalThis.crossOriginIsolated === true ? Math.max(1, options.threads) : 1;
  const ort = await loadOrt(provider);
  ort.env.logLevel = 'error';
  ort.env.wasm.numThreads = threads;
  ort.env.wasm.proxy = false;
  if (options.wasmPaths !== undefined) ort.env.wasm.wasmPaths = options.wasmPaths;
  try {
    // The runtime has no call to start it: the first session does, however small.
    const session = await ort.InferenceSession.create(smallestModel(), { executionProviders: [provider] });
    await session.release();
  } catch (error) {
    throw new IsthmusError('no-provider', `the runtime does not start with '${provider}' here`, {
      cause: error,
    });
  }
  return { ort, provider, threads };
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
  const { ort, provider, threads } = runtime;
  return new OrtRunner({
    manifest,
    source,
    provider,
    threads,
    Tensor: ort.Tensor,
    clock: systemClock,
    createSession: (model, shards, extra) =>
      ort.InferenceSession.create(model, {
        executionProviders: [provider],
        graphOptimizationLevel: 'all',
        externalData: shards.map(({ path, data }) => ({ path, data })),
        extra,
      }),
  });
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
