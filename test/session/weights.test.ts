/** Weights that are not here: what runs without them, what fails and how, and how they come. */
import { beforeAll, describe, expect, it, vi } from 'vitest';
import type { OpenedPackage } from '../../src/package/node/open-package.ts';
import type { PlanChoice } from '../../src/session/types.ts';
import { importSpeech, onDisk } from '../endpoint/packages.ts';
import { features, reference } from '../endpoint/with-endpoint.ts';
import { DeviceFiles } from '../fixtures/node-device.ts';
import { isDown, isUp, open, paced, rejection, startEndpoint } from './with-session.ts';

const MAX_TOKENS = 8;
const inputs = { features: features(5, 4) };

let speech: OpenedPackage;
let expected: number[];

beforeAll(async () => {
  speech = await onDisk(await importSpeech('speech', []));
  expected = await reference(speech, inputs.features, MAX_TOKENS);
});

/** A device without weights, whose network is its endpoint's. */
async function bare() {
  const files = new DeviceFiles(speech, 'none');
  const endpoint = await startEndpoint(speech);
  const opened = await open(speech, { port: endpoint.port, files });
  await opened.seen(isUp);
  return { ...opened, endpoint, files };
}

const bytesOf = (pkg: OpenedPackage): number => {
  const { tokenizer } = pkg.manifest;
  return Object.entries(pkg.manifest.files)
    .filter(([path]) => path !== 'tokenizer.json' && path !== tokenizer?.tokenizer)
    .reduce((sum, [, { bytes }]) => sum + bytes, 0);
};

describe('weights that are not here', () => {
  it('are not needed by a request that runs at the endpoint', async () => {
    const { session, files } = await bare();
    const { tokens, report } = await session.run({ inputs, plan: 'remote', maxTokens: MAX_TOKENS });
    expect(tokens).toEqual(expected);
    expect(report.plan.prediction.weightBytes).toBe(0);
    expect([...files.here]).toEqual([]);
    expect(files.missing(Object.keys(speech.manifest.files))).toBeGreaterThan(0);
  });

  it.each<PlanChoice>(['auto', 'local', 'remote', { cut: 2 }, { cut: 6, codec: 'fp32' }])(
    'and an endpoint that is gone fail a request under %j, until it is back',
    async (plan) => {
      const { session, endpoint, files, seen, events } = await bare();
      await endpoint.close({ graceMs: 0 });
      files.online = false;
      await seen(isDown);
      const error = await rejection(session.run({ inputs, plan, maxTokens: MAX_TOKENS }));
      expect(error).toMatchObject({ name: 'IsthmusError', code: 'weights-missing' });
      const { missingBytes } = (error as { details: { missingBytes: number } }).details;
      expect(missingBytes).toBeGreaterThan(0);
      expect(missingBytes).toBeLessThanOrEqual(bytesOf(speech));
      if (plan === 'local' || plan === 'auto') {
        expect(missingBytes).toBe(
          files.missing(Object.keys(speech.manifest.files).filter((path) => path !== 'tokenizer.json')),
        );
      }

      events.length = 0;
      files.online = true;
      await startEndpoint(speech, { port: endpoint.port });
      const { tokens } = await session.run({ inputs, plan, maxTokens: MAX_TOKENS });
      expect(tokens).toEqual(expected);
    },
  );

  it('fail with what is missing also when the endpoint goes in the middle', async () => {
    const { session, wire, files, seen } = await bare();
    files.online = false;
    const heard: number[] = [];
    const error = await rejection(
      session.run({
        inputs,
        plan: { cut: 0, codec: 'fp32' },
        maxTokens: MAX_TOKENS,
        onToken: (token) => {
          heard.push(token);
          wire.cut();
        },
      }),
    );
    await seen(isDown);
    expect(error).toMatchObject({
      code: 'weights-missing',
      details: { tried: [{ plan: 'remote', code: 'endpoint-lost' }] },
    });
    expect(heard).toEqual(expected.slice(0, heard.length));
  });

  it('are not looked for again before a first request that the endpoint answers', async () => {
    const { session, files } = await bare();
    const lookedFor = vi.spyOn(files, 'missing');
    const { tokens, report } = await session.run({ inputs, maxTokens: MAX_TOKENS });
    expect(report.plan.kind).toBe('remote');
    expect(tokens).toEqual(expected);
    expect(lookedFor).not.toHaveBeenCalled();
  });

  it('are told as missing by a fetch that fails in the middle of a request', async () => {
    const { session, files } = await bare();
    files.online = false;
    const error = await rejection(session.run({ inputs, plan: 'local', maxTokens: MAX_TOKENS }));
    expect(error).toMatchObject({ code: 'weights-missing' });
    expect((error as { details: { missingBytes: number } }).details.missingBytes).toBe(
      files.missing(Object.keys(speech.manifest.files).filter((path) => path !== 'tokenizer.json')),
    );
  });
});

describe('weights that come', () => {
  it('arrive behind the session, and are told of', async () => {
    const files = new DeviceFiles(speech, 'none');
    const endpoint = await startEndpoint(speech);
    const { session, events, seen } = await open(speech, { port: endpoint.port, files, prefetch: true });
    const total = bytesOf(speech);
    await seen((event) => event.type === 'weights' && event.done === event.total);
    const told = events.flatMap((event) => (event.type === 'weights' ? [event] : []));
    expect(told.every((event) => event.total === total)).toBe(true);
    const done = told.map((event) => event.done);
    expect(done).toEqual([...done].sort((a, b) => a - b));
    await endpoint.close({ graceMs: 0 });
    files.online = false;
    await seen(isDown);
    const { tokens, report } = await session.run({ inputs, maxTokens: MAX_TOKENS });
    expect(tokens).toEqual(expected);
    expect(report.plan.id).toBe('local');
    expect(new Set(files.fetched).size).toBe(files.fetched.length);
  });

  it('go on coming when the endpoint is back', async () => {
    const files = new DeviceFiles(speech, 'none');
    files.online = false;
    const endpoint = await startEndpoint(speech);
    const { session, wire, seen, events } = await open(speech, {
      port: endpoint.port,
      files,
      prefetch: true,
    });
    await seen(isUp);
    wire.cut();
    await seen(isDown);
    events.length = 0;
    files.online = true;
    await session.run({ inputs, plan: 'remote', maxTokens: 1 });
    await seen((event) => event.type === 'weights' && event.done === event.total);
    expect(files.missing(speech.manifest.blocks.flatMap((block) => block.shards))).toBe(0);
  });

  it('stand back while a request needs the link', async () => {
    const files = new DeviceFiles(speech, 'none');
    let isRunning = false;
    const during: string[] = [];
    files.beforeFetch = async (path) => {
      if (isRunning) during.push(path);
    };
    const endpoint = await startEndpoint(speech, {
      createRunner: paced(async () => {
        isRunning = true;
        // Many turns of the event loop: whoever wants to fetch has the time to.
        for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      }),
    });
    // The device has nothing at all, so that the first request must run elsewhere while weights are to come.
    const { session, seen } = await open(speech, { port: endpoint.port, files, prefetch: true });
    const { tokens } = await session.run({ inputs, plan: 'remote', maxTokens: MAX_TOKENS });
    isRunning = false;
    expect(tokens).toEqual(expected);
    expect(during.length).toBeLessThanOrEqual(1);
    await seen((event) => event.type === 'weights' && event.done === event.total);
  });

  it('can be waited for, and the wait be given up', async () => {
    const files = new DeviceFiles(speech, 'none');
    const { session } = await open(speech, { files });
    const abort = new AbortController();
    files.beforeFetch = async () => abort.abort();
    expect(await rejection(session.prefetch({ signal: abort.signal }))).toMatchObject({ code: 'aborted' });
    files.beforeFetch = async () => undefined;
    await session.prefetch();
    expect(files.missing(speech.manifest.blocks.flatMap((block) => block.shards))).toBe(0);
  });
});
