/**
 * The only importer of onnxruntime-web, for use inside a worker. Its builds are loaded on demand: the
 * plain WASM one is half the size of the one that can use WebGPU.
 */
import type { InferenceSession, TensorConstructor } from 'onnxruntime-common';
import { systemClock } from '../../core/clock.ts';
import { IsthmusError } from '../../errors.ts';
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

/** Throws `no-provider` when the runtime cannot start with this provider here. */
export async function createWebRunner(options: WebRunnerOptions): Promise<OrtRunner> {
  const { manifest, source, provider } = options;
  const threads = globalThis.crossOriginIsolated === true ? Math.max(1, options.threads) : 1;
  const ort = await loadOrt(provider);
  ort.env.logLevel = 'error';
  ort.env.wasm.numThreads = threads;
  ort.env.wasm.proxy = false;
  if (options.wasmPaths !== undefined) ort.env.wasm.wasmPaths = options.wasmPaths;
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
