/** Whom words may be asked of: who would be sent all tokens of the request anyway, and only on a first visit. */
import { beforeAll, expect, it, onTestFinished, vi } from 'vitest';
import type { OpenedPackage } from '../../src/package/node/open-package.ts';
import type { FarWords } from '../../src/runtime/words.ts';
import { importSpeech, onDisk } from '../endpoint/packages.ts';
import { features } from '../endpoint/with-endpoint.ts';
import { DeviceFiles } from '../fixtures/node-device.ts';
import { isUp, open, type Setup, startEndpoint } from './with-session.ts';

const far: FarWords = {
  encode: async () => [],
  read: async () => ({ decoder: null, addedTokens: [], texts: new Map() }),
};

let speech: OpenedPackage;

beforeAll(async () => {
  const made = await onDisk(await importSpeech('speech', []));
  speech = { ...made, manifest: { ...made.manifest, tokenizer: { tokenizer: 'tokenizer.json' } } };
});

async function visit(options: Setup = {}) {
  const endpoint = await startEndpoint(speech);
  const files = new DeviceFiles(speech, 'none');
  const opened = await open(speech, { port: endpoint.port, files, parts: { farWords: far }, ...options });
  return { ...opened, files };
}

it.each([
  [{}, true],
  [{ plan: 'remote' }, true],
  [{ mode: 'prefer-cloud' }, true],
  [{ objective: 'frugal' }, true],
  [{ plan: 'local' }, false],
  [{ plan: { cut: 2 } }, false],
  [{ objective: 'private' }, false],
  [{ mode: 'only-device' }, false],
  [{ maxBytesUp: 1e9 }, false],
] as const)('a request with %j may ask: %s', async (asked, isAllowed) => {
  const { session, seen } = await visit({ prefetch: false });
  await seen(isUp);
  const told = await session.farWords?.(asked);
  expect(told !== undefined).toBe(isAllowed);
  expect(await told?.read([])).toEqual(isAllowed ? await far.read([]) : undefined);
  told?.letGo();
});

it('texts are cut over the connection that is there, and asked for elsewhere by who is not answered there', async () => {
  const words: FarWords = { ...far, encode: async (text) => [text.length] };
  const elsewhere = vi.fn(async () => [7]);
  const parts = { farWords: { ...far, encode: elsewhere } };
  const tells = await startEndpoint(speech, { packages: [{ ...speech, words }] });
  const visitor = async (port: number) => {
    const files = new DeviceFiles(speech, 'none');
    const { session, seen, wire } = await open(speech, { port, files, parts, prefetch: false });
    await seen(isUp);
    const told = await session.farWords?.({});
    onTestFinished(() => told?.letGo());
    return { told, wire };
  };
  const first = await visitor(tells.port);
  const { framesUp } = first.wire.totals;
  expect(await first.told?.encode('two lands', false)).toEqual([9]);
  expect(first.wire.totals.framesUp).toBe(framesUp + 1);
  expect(elsewhere).not.toHaveBeenCalled();
  // One that has no words refuses, as one does that does not know the question.
  const silent = await startEndpoint(speech);
  const second = await visitor(silent.port);
  expect(await second.told?.encode('two lands', false)).toEqual([7]);
  // Over a connection that is gone nobody is asked.
  first.wire.cut();
  await tells.close({ graceMs: 0 });
  expect(await first.told?.encode('two lands', false)).toEqual([7]);
  await expect(second.told?.encode('two lands', false, AbortSignal.abort())).rejects.toMatchObject({
    code: 'aborted',
  });
});

it('what the session is told holds for its requests', async () => {
  const { session, seen } = await visit({ prefetch: false, objective: 'private' });
  await seen(isUp);
  expect(await session.farWords?.({})).toBeUndefined();
});

it('nobody is asked who is not there, or once the tokenizer is here', async () => {
  const alone = await open(speech, { files: new DeviceFiles(speech), parts: { farWords: far } });
  expect(await alone.session.farWords?.({})).toBeUndefined();
  const { session, seen } = await visit({ prefetch: false });
  await seen(isUp);
  const told = await session.farWords?.({});
  expect(told).toBeDefined();
  told?.letGo();
  await session.readFile('tokenizer.json');
  expect(await session.farWords?.({})).toBeUndefined();
});

it('nothing is fetched beside them until they are let go of', async () => {
  const { session, files } = await visit({ prefetch: true });
  const told = await session.farWords?.({});
  expect(told).toBeDefined();
  await session.run({ inputs: { features: features(5, 4) }, plan: 'remote', maxTokens: 4 });
  // Longer than a session waits for a first request.
  await new Promise((resolve) => setTimeout(resolve, 400));
  expect(files.fetched).toEqual([]);
  told?.letGo();
  await vi.waitFor(() => expect(files.fetched.length).toBeGreaterThan(0));
});
