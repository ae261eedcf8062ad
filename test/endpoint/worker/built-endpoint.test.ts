/** The built library: only there does the runner live in a thread of its own. */
import { existsSync } from 'node:fs';
import type { Worker } from 'node:worker_threads';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { EndpointOptions } from '../../../src/endpoint/endpoint.ts';
import type { OpenedPackage } from '../../../src/package/node/open-package.ts';
import { createNodeRunner } from '../../../src/runtime/node/ort-node.ts';
import { importSpeech, onDisk } from '../packages.ts';
import { StreamClient } from '../stream-client.ts';
import { connect, crossed, features, opened, reference } from '../with-endpoint.ts';

const built = new URL('../../../dist/src/endpoint/endpoint.js', import.meta.url);
const isBuilt = existsSync(built);
if (!isBuilt) console.info('skipped: there is no build of the library in dist/');

describe.skipIf(!isBuilt)('the built endpoint', () => {
  let speech: OpenedPackage;
  beforeAll(async () => {
    speech = await onDisk(await importSpeech('speech', []));
  });

  async function startBuilt(options: Partial<EndpointOptions> = {}) {
    const { createEndpoint }: typeof import('../../../src/endpoint/endpoint.ts') = await import(
      /* @vite-ignore */ built.href
    );
    const endpoint = await createEndpoint({ packages: [speech], ...options });
    onTestFinished(() => endpoint.close({ graceMs: 0 }));
    return endpoint;
  }

  const whole = () => ({
    model: 'speech',
    span: { from: 0, to: speech.manifest.blocks.length },
    tensors: { once: { features: features() } },
  });

  it('makes the same tokens in its thread', async () => {
    const client = await connect(await startBuilt());
    client.start({ ...whole(), id: 1 });
    expect((await client.tokens()).tokens).toEqual(await reference(speech, features()));
  });

  it('survives the death of its thread', async () => {
    const threads: Worker[] = [];
    const seen = (worker: Worker): unknown => threads.push(worker);
    process.on('worker', seen);
    onTestFinished(() => {
      process.off('worker', seen);
    });
    // Nothing may run in the thread when it goes: the runtime's native code then has nobody to return to, and ends the process.
    const client = await connect(await startBuilt({ warm: false, rehearse: false }));
    // Open between steps, so that it is surely open when the thread goes.
    const blocks = speech.manifest.blocks.length;
    const runner = createNodeRunner(speech.manifest, speech.source);
    const near = await opened(speech, { from: 0, to: blocks - 1 }, runner);
    const tensors = crossed(await near.start({ once: { features: features() } }));
    await runner.close();
    client.start({ id: 1, model: 'speech', span: { from: blocks - 1, to: blocks }, tensors });
    await client.next('tokens');
    expect(threads).toHaveLength(1);
    await threads[0]?.terminate();
    client.send({ type: 'step', id: 1, step: 1, tensors: { step: tensors.step ?? {} } });
    expect(await client.next('error')).toMatchObject({ id: 1, error: { code: 'worker-lost' } });
    client.start({ ...whole(), id: 2 });
    expect((await client.tokens()).tokens).toEqual(await reference(speech, features()));
    expect(threads).toHaveLength(2);
  });

  it('starts again after a stop in the same process', async () => {
    for (let round = 0; round < 2; round += 1) {
      const endpoint = await startBuilt();
      const client = await StreamClient.connect(endpoint.url);
      client.start({ ...whole(), id: round, maxTokens: 3 });
      expect((await client.tokens()).tokens).toHaveLength(3);
      await endpoint.close({ graceMs: 0 });
      expect(await client.closed).toBe(1001);
    }
  });
});
