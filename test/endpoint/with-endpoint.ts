/** Endpoints for tests: started on a free port of the loopback, closed with the test. */
import { onTestFinished } from 'vitest';
import type { PhaseTensors, Span } from '../../src/core/span.ts';
import { float32Tensor, type Tensor } from '../../src/core/tensor.ts';
import { createEndpoint, type Endpoint, type EndpointOptions } from '../../src/endpoint/endpoint.ts';
import { IsthmusError } from '../../src/errors.ts';
import type { Manifest } from '../../src/package/manifest.ts';
import { decodeGreedy } from '../../src/runtime/decode.ts';
import { createNodeRunner } from '../../src/runtime/node/ort-node.ts';
import type { PackageSource, SpanRunner, StateId } from '../../src/runtime/runner.ts';
import { createExecutor } from '../../src/runtime/span-executor.ts';
import { seeded } from '../fixtures/onnx-build.ts';
import { TINY } from '../fixtures/tiny-models.ts';
import { StreamClient } from './stream-client.ts';

export async function start(options: EndpointOptions): Promise<Endpoint> {
  const endpoint = await createEndpoint({ rehearse: false, ...options });
  onTestFinished(() => endpoint.close({ graceMs: 0 }));
  return endpoint;
}

export async function connect(endpoint: Endpoint): Promise<StreamClient> {
  const client = await StreamClient.connect(endpoint.url);
  onTestFinished(() => client.socket.terminate());
  return client;
}

/** `features` of the tiny models, `[1, frames, 8]`. */
export function features(frames = 5, seed = 1): Tensor {
  const next = seeded(seed);
  const values = Float32Array.from({ length: frames * TINY.features }, () => 4 * next());
  return float32Tensor(values, [1, frames, TINY.features]);
}

interface Model {
  readonly manifest: Manifest;
  readonly source: PackageSource;
}

/** What the whole model says, in this process and without an endpoint. */
export async function reference(
  { manifest, source }: Model,
  input: Tensor,
  maxTokens = 20,
): Promise<number[]> {
  const runner = createNodeRunner(manifest, source);
  const execution = await opened({ manifest, source }, { from: 0, to: manifest.blocks.length }, runner);
  const first = await execution.start({ once: { features: input } });
  const eosTokens = manifest.generation?.eosTokens ?? [];
  const { tokens } = await decodeGreedy(execution, first, { eosTokens, maxTokens });
  await runner.close();
  return [...tokens];
}

/** An execution of a span in this process, for the near side of a split. */
export async function opened({ manifest }: Model, span: Span, runner: SpanRunner) {
  const executor = createExecutor(manifest, span, runner);
  await executor.load();
  return executor.open();
}

/** What crosses after the first step of `[0, cut)`. */
export function crossed(output: { readonly kind: string; readonly tensors?: unknown }): PhaseTensors {
  if (output.kind !== 'crossing') throw new Error(`expected a crossing, got ${output.kind}`);
  return output.tensors as PhaseTensors;
}

/** A runner that knows which states are open and can be told to die. */
export function watched(runner: SpanRunner) {
  const states = new Set<StateId>();
  let dead = false;
  const alive = async <T>(work: () => Promise<T>): Promise<T> => {
    if (dead) throw new IsthmusError('worker-lost', 'it died');
    return work();
  };
  const watch: SpanRunner = {
    provider: runner.provider,
    threads: runner.threads,
    load: (segment, options) => alive(() => runner.load(segment, options)),
    unload: (segment) => alive(() => runner.unload(segment)),
    openState: async () => {
      const id = await alive(() => runner.openState());
      states.add(id);
      return id;
    },
    closeState: (id) => {
      states.delete(id);
      return alive(() => runner.closeState(id));
    },
    run: (request) => alive(() => runner.run(request)),
    close: () => runner.close(),
  };
  const die = (): void => {
    dead = true;
  };
  return { runner: watch, states, die };
}
