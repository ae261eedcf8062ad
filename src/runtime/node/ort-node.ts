/** The only importer of onnxruntime-node. */
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { systemClock } from '../../core/clock.ts';
import type { Tensor as CoreTensor } from '../../core/tensor.ts';
import { detachWeights } from '../../graph/detach-weights.ts';
import type { OnnxModel } from '../../graph/onnx-types.ts';
import { writeModel } from '../../graph/onnx-write.ts';
import type { ProbeRun, Prober } from '../../package/import/probe-session.ts';
import type { Manifest } from '../../package/manifest.ts';
import { OrtRunner } from '../ort-runner.ts';
import { fromOrt, toOrt } from '../ort-tensor.ts';
import type { PackageSource } from '../runner.ts';

export interface NodeRunnerOptions {
  /** Threads of each session. Default 1: many sessions share the cores, and spinning threads cost ms. */
  readonly threads?: number;
  readonly graphOptimizationLevel?: 'disabled' | 'basic' | 'extended' | 'all';
}

/**
 * On x64 machines without 8-bit dot products (AVX2 alone) onnxruntime adds pairs of products of int8 weights in
 * 16 bits, where they saturate: a column of large weights came out as 64 instead of 8128. This setting makes
 * it take kernels that do not.
 */
const EXACT_PRODUCTS = { x64quantprecision: '1' };

function sessionOptions(
  options: NodeRunnerOptions,
  { session, ...extra }: Record<string, unknown> = {},
): InferenceSession.SessionOptions {
  return {
    extra: { ...extra, session: { ...EXACT_PRODUCTS, ...(session as object | undefined) } },
    executionProviders: ['cpu'],
    intraOpNumThreads: options.threads ?? 1,
    interOpNumThreads: 1,
    logSeverityLevel: 4,
    ...(options.graphOptimizationLevel === undefined
      ? {}
      : { graphOptimizationLevel: options.graphOptimizationLevel }),
  };
}

export function createNodeRunner(
  manifest: Manifest,
  source: PackageSource,
  options: NodeRunnerOptions = {},
): OrtRunner {
  return new OrtRunner({
    manifest,
    source,
    provider: 'cpu',
    threads: options.threads ?? 1,
    Tensor,
    clock: systemClock,
    createSession: (model, shards, extra) =>
      InferenceSession.create(model, {
        ...sessionOptions(options, extra),
        externalData: shards.map(({ path, data }) => ({ path, data })),
      }),
  });
}

/** Runs a whole model, for the importer's measurements. Weights are handed over as they lie in memory. */
export const nodeProber: Prober = Object.assign(
  async (...[model, feeds, fetches]: Parameters<Prober>) => {
    const session = await openProbe(model);
    try {
      return await session.run(feeds, fetches);
    } finally {
      await session.close();
    }
  },
  { open: openProbe },
);

async function openProbe(source: OnnxModel) {
  const { model, weights } = detachWeights(source);
  const session = await InferenceSession.create(writeModel(model), {
    ...sessionOptions({}),
    externalData: weights.map(({ path, data }) => ({ path, data })),
  });
  const run: ProbeRun = async (feeds, fetches) => {
    const inputs = Object.fromEntries(
      Object.entries(feeds).map(([name, tensor]) => [name, toOrt(tensor, Tensor)]),
    );
    const results = await session.run(inputs, [...fetches]);
    const outputs: Record<string, CoreTensor> = {};
    for (const [name, tensor] of Object.entries(results)) outputs[name] = fromOrt(name, tensor);
    return outputs;
  };
  return { run, close: () => session.release() };
}
