/** The browser's stores in a real Chromium: IndexedDB has no stand-in worth trusting. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, chromium, type Page as Tab } from 'playwright-core';
import { build } from 'vite';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { blobStoreContract } from '../contracts/blob-store.ts';
import type { Page } from './browser-page.ts';
import { gate, ShardServer } from './shard-server.ts';

function findChromium(): string | undefined {
  for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
    try {
      return execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim();
    } catch {
      // Not under this name.
    }
  }
  return undefined;
}

const executablePath = findChromium();
if (!executablePath) console.warn('skipped: no Chromium is installed to run the browser stores in');

const BYTES = 3 * 2 ** 20 + 17;
const content = Uint8Array.from({ length: BYTES }, (_, index) => (index * 31 + (index >> 9)) & 255);
const shard = { sha256: createHash('sha256').update(content).digest('hex'), bytes: BYTES };

declare global {
  // Only inside the page.
  var page: Page;
}

describe.skipIf(!executablePath)('in Chromium', () => {
  let browser: Browser;
  let server: ShardServer;
  let tab: Tab;
  let script: Uint8Array;

  beforeAll(async () => {
    const outDir = await mkdtemp(join(tmpdir(), 'isthmus-page-'));
    await build({
      configFile: false,
      logLevel: 'error',
      build: {
        outDir,
        emptyOutDir: true,
        lib: {
          entry: join(import.meta.dirname, 'browser-page.ts'),
          formats: ['es'],
          fileName: () => 'page.js',
        },
      },
    });
    script = await readFile(join(outDir, 'page.js'));
    await rm(outDir, { recursive: true });
    browser = await chromium.launch({
      ...(executablePath && { executablePath }),
      args: [
        '--no-sandbox',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
        // A name for loopback that, unlike localhost, is no secure context: as a phone sees a laptop.
        '--host-resolver-rules=MAP plain.test 127.0.0.1',
      ],
    });
  });
  afterAll(() => browser?.close());

  beforeEach(async () => {
    server = await ShardServer.start();
    // Without an icon of its own the browser asks for one when it likes, and takes the next behaviour with it.
    const html = '<link rel="icon" href="data:,"><script type="module" src="page.js"></script>';
    server.files.set('page.html', new TextEncoder().encode(html));
    server.files.set('page.js', script);
    server.files.set('shard', content);
    tab = await (await browser.newContext()).newPage();
    await visit(server.url('page.html'));
  });
  afterEach(async () => {
    await tab.context().close();
    await server.stop();
  });

  async function visit(url: string): Promise<void> {
    await tab.goto(url);
    await tab.waitForFunction(() => 'page' in globalThis);
    server.sent = 0;
    server.requests.length = 0;
  }

  // One page for all: each case opens a database of its own.
  it('the store keeps the contract of blob stores', async () => {
    const failures: string[] = [];
    for (const { name } of blobStoreContract) {
      await tab
        .evaluate((wanted) => page.runContract(wanted), name)
        .catch((error: unknown) => failures.push(`${name}: ${String(error)}`));
    }
    expect(failures).toEqual([]);
  });

  async function fetchUntilCutAt(at: number) {
    const arrived = gate();
    server.behaviours.push({ pause: { at, until: arrived.opened, after: 'break' } });
    // The page tells through a request of its own that the bytes are there.
    await tab.route('**/arrived', async (route) => {
      arrived.open();
      await route.fulfill({ body: '' });
    });
    return tab.evaluate(
      ([url, wanted, openAt]) => page.fetchShard(url, wanted, { openAt, gateUrl: 'arrived' }),
      ['shard', shard, at] as const,
    );
  }

  it('resumes a shard by range after a reload, and never fetches it again', async () => {
    const cut = 2 ** 20 + 4321;
    const broken = await fetchUntilCutAt(cut);
    expect(broken.error?.code).toBe('endpoint-lost');
    expect(broken.held[0]).toBe(0);
    const kept = broken.held[1];
    expect(kept).toBe(cut);
    await visit(server.url('page.html'));
    const resumed = await tab.evaluate((wanted) => page.fetchShard('shard', wanted), shard);
    expect(resumed).toEqual({ sha256: shard.sha256, held: [kept, BYTES], warnings: [] });
    expect(server.requests).toEqual([{ path: 'shard', range: `bytes=${kept}-` }]);
    expect(server.sent).toBe(BYTES - kept);
    await visit(server.url('page.html'));
    expect(await tab.evaluate((wanted) => page.fetchShard('shard', wanted), shard)).toEqual({
      sha256: shard.sha256,
      held: [BYTES, BYTES],
      warnings: [],
    });
    expect(server.requests).toEqual([]);
  });

  it('stores a shard once when two tabs of one origin fetch it', async () => {
    const other = await tab.context().newPage();
    await other.goto(server.url('page.html'));
    await other.waitForFunction(() => 'page' in globalThis);
    const outcomes = await Promise.all(
      [tab, other].map((each) => each.evaluate((wanted) => page.fetchShard('shard', wanted), shard)),
    );
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ sha256: shard.sha256, warnings: [] });
      expect(outcome.held[1]).toBe(BYTES);
    }
  });

  it('verifies shards where there is no crypto.subtle', async () => {
    await visit(`http://plain.test:${server.port}/page.html`);
    expect(await tab.evaluate(() => page.hasSubtle())).toBe(false);
    for (const before of [0, BYTES]) {
      expect(await tab.evaluate((wanted) => page.fetchShard('shard', wanted), shard)).toEqual({
        sha256: shard.sha256,
        held: [before, BYTES],
        warnings: [],
      });
    }
    expect(server.sent).toBe(BYTES);
  });

  it('goes on in memory when the quota is used up', async () => {
    const devtools = await tab.context().newCDPSession(tab);
    const { origin } = new URL(server.url(''));
    await devtools.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: BYTES / 2 });
    const outcome = await tab.evaluate((wanted) => page.fetchShard('shard', wanted), shard);
    expect(outcome).toMatchObject({ sha256: shard.sha256, held: [0, BYTES] });
    expect(outcome.warnings).toMatchObject([
      { code: 'storage-failed', details: { reason: 'QuotaExceededError' } },
    ]);
    expect(server.sent).toBe(BYTES);
  });

  it.each([
    ['absent', 'absent'],
    ['refusing', 'SecurityError'],
    ['hanging', 'timeout'],
  ] as const)('works in memory where IndexedDB is %s, and says why', async (how, reason) => {
    expect(await tab.evaluate((kind) => page.useWithout(kind), how)).toEqual([reason, reason]);
  });

  it('keeps JSON values over a reload', async () => {
    await tab.evaluate(() => page.setValue('model/wasm', [1, 2.5]));
    await visit(server.url('page.html'));
    expect(await tab.evaluate(() => page.getValue('model/wasm'))).toEqual([1, 2.5]);
    expect(await tab.evaluate(() => page.getValue('model/webgpu'))).toBeUndefined();
  });
});
