import { beforeAll, describe, expect, it, vi } from 'vitest';
import { asFloat32, type TensorMap } from '../../../src/core/tensor.ts';
import { IsthmusError } from '../../../src/errors.ts';
import type { OpenedPackage } from '../../../src/package/node/open-package.ts';
import type { PackageSource, SpanRunner } from '../../../src/runtime/runner.ts';
import { importSpeech, onDisk } from '../packages.ts';
import { features, opened, reference } from '../with-endpoint.ts';
import { joined as join } from './joined.ts';

let speech: OpenedPackage;

beforeAll(async () => {
  speech = await onDisk(await importSpeech('speech', []));
});

const joined = (source: PackageSource, create?: (source: PackageSource) => SpanRunner) =>
  join(speech.manifest, source, create);

describe('a runner behind a channel', () => {
  it('says what the runner itself says', async () => {
    const { runner } = joined(speech.source);
    const span = { from: 0, to: speech.manifest.blocks.length };
    const execution = await opened(speech, span, runner);
    let output = await execution.start({ once: { features: features() } });
    const tokens: number[] = [];
    for (let step = 0; step < 8; step += 1) {
      if (output.kind !== 'logits') throw new Error(output.kind);
      tokens.push(output.logits.indexOf(Math.max(...output.logits)));
      output = await execution.step(tokens.slice(-1));
    }
    expect(tokens).toEqual(await reference(speech, features(), 8));
    expect(Object.values(execution.segmentMs).every((ms) => ms > 0)).toBe(true);
    await execution.close();
    await runner.close();
  });

  it('says why a load failed, which can then be tried again', async () => {
    let failures = 1;
    const { runner } = joined({
      read: async (path) => {
        if (failures-- > 0) throw new IsthmusError('bad-shard', 'torn', { details: { path } });
        return speech.source.read(path);
      },
    });
    const segment = { stage: 0, from: 0, to: 1 };
    await expect(runner.load(segment)).rejects.toMatchObject({ code: 'bad-shard', message: 'torn' });
    await runner.load(segment);
    await runner.unload(segment);
    await runner.close();
  });

  it('is closed behind what runs there: native code must not lose its thread', async () => {
    const order: string[] = [];
    let finish: () => void = () => undefined;
    const { runner } = joined(speech.source, () => ({
      ...idleRunner(),
      openState: async () => {
        order.push('runs');
        await new Promise<void>((resolve) => {
          finish = resolve;
        });
        order.push('ran');
        return 1;
      },
      close: async () => void order.push('closed'),
    }));
    const running = runner.openState().catch(() => undefined);
    await vi.waitFor(() => expect(order).toEqual(['runs']));
    const closing = runner.close().then(() => order.push('ended'));
    // The message and whatever it sets off.
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(order).toEqual(['runs']);
    finish();
    await Promise.all([running, closing]);
    expect(order).toEqual(['runs', 'ran', 'closed', 'ended']);
  });

  it('passes progress and aborts through', async () => {
    const seen: string[] = [];
    const { runner } = joined(speech.source, () => ({
      ...idleRunner(),
      load: (_segment, { signal, onProgress } = {}) => {
        onProgress?.(1, 2);
        return new Promise((_, reject) => {
          signal?.addEventListener('abort', () => reject(new IsthmusError('aborted', 'told to')));
        });
      },
    }));
    const abort = new AbortController();
    const load = runner.load(
      { stage: 0, from: 0, to: 1 },
      {
        signal: abort.signal,
        onProgress: (done, total) => {
          seen.push(`${done}/${total}`);
          abort.abort();
        },
      },
    );
    await expect(load).rejects.toMatchObject({ code: 'aborted', message: 'told to' });
    expect(seen).toEqual(['1/2']);
    await expect(runner.load({ stage: 0, from: 0, to: 1 }, { signal: abort.signal })).rejects.toMatchObject({
      code: 'aborted',
    });
  });

  it('leaves the tensors that it was given with their owner', async () => {
    const { runner } = joined(speech.source);
    const segment = { stage: 0, from: 0, to: 1 };
    await runner.load(segment);
    // A view into a larger buffer, as a frame's tensors are.
    const large = new Uint8Array(4096);
    const given = features(3);
    large.set(given.bytes, 8);
    const feeds: TensorMap = { features: { ...given, bytes: large.subarray(8, 8 + given.bytes.byteLength) } };
    const request = { segment, phase: 'once', feeds, fetches: ['enc.x0'] } as const;
    const first = await runner.run(request);
    const second = await runner.run(request);
    expect(large.byteLength).toBe(4096);
    const values = asFloat32(first.outputs['enc.x0'] ?? given);
    expect(values).toHaveLength(3 * 16);
    expect(second.outputs).toEqual(first.outputs);
    expect(values.buffer.byteLength).toBe(values.byteLength);
    await runner.close();
  });

  it('gives errors their code and details back', async () => {
    const { runner } = joined(speech.source);
    const request = { segment: { stage: 0, from: 0, to: 1 }, phase: 'once', feeds: {}, fetches: [] } as const;
    await expect(runner.run(request)).rejects.toMatchObject({ name: 'IsthmusError', code: 'run-failed' });
    await runner.load(request.segment);
    await expect(runner.run({ ...request, fetches: ['enc.x0'] })).rejects.toMatchObject({
      code: 'bad-tensor',
      details: { name: 'features' },
    });
    await runner.close();
  });

  it('rejects all that waits when the worker is lost, and all that comes after', async () => {
    const { runner, ends } = joined(speech.source, idleRunner);
    const request = { segment: { stage: 0, from: 0, to: 1 }, phase: 'once', feeds: {}, fetches: [] } as const;
    const waiting = [runner.run(request), runner.load(request.segment), runner.closeState(1)];
    const settled = Promise.allSettled(waiting);
    runner.lost('it crashed');
    runner.lost('it exited');
    const results = await settled;
    expect(results.map((result) => result.status === 'rejected' && result.reason.code)).toEqual(
      waiting.map(() => 'worker-lost'),
    );
    await expect(runner.openState()).rejects.toMatchObject({ code: 'worker-lost' });
    await runner.close();
    expect(ends).toEqual(['ended']);
  });

  it('rejects what is in flight when it is closed', async () => {
    const { runner, ends } = joined(speech.source, () => ({ ...idleRunner(), close: async () => undefined }));
    const request = { segment: { stage: 0, from: 0, to: 1 }, phase: 'once', feeds: {}, fetches: [] } as const;
    const run = runner.run(request);
    const closing = runner.close();
    await expect(run).rejects.toMatchObject({ code: 'closed' });
    await closing;
    await runner.close();
    expect(ends).toEqual(['ended']);
    await expect(runner.run(request)).rejects.toMatchObject({ code: 'closed' });
  });
});

/** Never answers. */
function idleRunner(): SpanRunner {
  const never = (): Promise<never> => new Promise(() => undefined);
  return {
    provider: 'cpu',
    threads: 1,
    load: never,
    unload: never,
    openState: never,
    closeState: never,
    run: never,
    close: never,
  };
}
