/** The worker's side by its own interface, here without a worker: what passes is tried again when it is asked for again. */
import { beforeAll, expect, it, onTestFinished } from 'vitest';
import type { OpenedPackage } from '../../../src/package/node/open-package.ts';
import type { Outcome } from '../../../src/runtime/browser/worker-api.ts';
import { createWorkerHost } from '../../../src/runtime/browser/worker-host.ts';
import { tinyText } from '../../fixtures/tiny-text.ts';
import { ShardServer } from '../../storage/shard-server.ts';

let text: OpenedPackage;
const manifestOf = ({ manifest }: OpenedPackage) => new TextEncoder().encode(JSON.stringify(manifest));

beforeAll(async () => {
  text = await tinyText();
});

async function hostOf(pack: OpenedPackage, openWords: Parameters<typeof createWorkerHost>[0]['openWords']) {
  const files = new Map<string, Uint8Array>([['manifest.json', manifestOf(pack)]]);
  for (const path of Object.keys(pack.manifest.files)) files.set(path, await pack.source.read(path));
  const server = await ShardServer.start(files);
  onTestFinished(() => server.stop());
  const host = createWorkerHost({ openWords });
  const opened = await host.open({ packageUrl: server.url(''), provider: 'wasm', threads: 1 }, 1);
  expect(opened).toHaveProperty('value');
  onTestFinished(async () => {
    await host.close();
  });
  return { host, server };
}

const errorOf = (outcome: Outcome<unknown>) => ('error' in outcome ? outcome.error : undefined);
const noWords = async (): Promise<never> => {
  throw new Error('no words in this test');
};

it('starts a runtime whose graph did not come the first time', async () => {
  const { host, server } = await hostOf(text, noWords);
  const before = server.requests.length;
  server.behaviours.push(...Array.from({ length: 20 }, () => ({ status: 503 })));
  expect(errorOf(await host.start())).toBeDefined();
  const tried = server.requests.length;
  expect(tried).toBeGreaterThan(before);
  server.behaviours.length = 0;
  expect(errorOf(await host.start())).toBeUndefined();
  expect(server.requests.length).toBeGreaterThan(tried);
});

it('opens words that did not open the first time, and keeps them then', async () => {
  let opens = 0;
  const { host } = await hostOf(text, async () => {
    opens += 1;
    if (opens === 1) throw new Error('not yet');
    return { lexicon: noWords, encode: async () => [opens], chat: noWords };
  });
  expect(errorOf(await host.encode('a', false))).toBeDefined();
  expect(await host.encode('a', false)).toEqual({ value: [2] });
  expect(await host.encode('a', false)).toEqual({ value: [2] });
});
