/** Execution providers in real Chromium: what is chosen is what was measured, not what is announced. */

import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { extname, join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { importedPackage } from '../fixtures/packages.ts';
import { utterance } from '../fixtures/utterance.ts';
import { buildTestPage, findChromium, launchChromium, SOFTWARE_GPU } from './chromium.ts';
import { type EndpointProcess, startEndpoint } from './endpoint-process.ts';
import { eventsInPage, openInPage, prefetchInPage, transcribeInPage } from './page-session.ts';

const MODEL = 'moonshine-tiny-q8';
const chromium = await findChromium();

interface ProfileEvent {
  readonly type: string;
  readonly provider?: string;
  readonly ms?: number;
}

describe.skipIf(chromium === undefined)('execution providers in Chromium', () => {
  let endpoint: EndpointProcess;
  let staticDir: string;
  let samples: Float32Array;

  beforeAll(async () => {
    staticDir = await buildTestPage('providers');
    endpoint = await startEndpoint([await importedPackage(MODEL)], { staticDir });
    samples = await utterance();
  });

  afterAll(async () => {
    await endpoint?.stop();
  });

  describe('with a software adapter alone', () => {
    let browser: Browser;

    beforeAll(async () => {
      browser = await launchChromium(SOFTWARE_GPU);
    });

    afterAll(async () => {
      await browser?.close();
    });

    it('ends on WASM because WebGPU was measured and lost', async () => {
      const page = await browser.newPage();
      await page.goto(endpoint.url);
      expect(await page.evaluate(async () => (await navigator.gpu?.requestAdapter()) != null)).toBe(true);
      const opened = await openInPage(page, `packages/${MODEL}/`, { codecs: ['fp32'], endpoint: null });
      expect(opened.provider).toBe('wasm');
      // The rival is measured behind the first request: both were measured, or the rival ran out of time.
      await page.waitForFunction(
        () =>
          (globalThis as typeof globalThis & { seen?: { type: string }[] }).seen?.some(
            (e) => e.type === 'provider',
          ),
        undefined,
        { timeout: 100_000 },
      );
      const events = await eventsInPage<ProfileEvent & { reason?: string }>(page);
      const chosen = events.find(({ type }) => type === 'provider');
      console.log(`chosen: ${chosen?.reason}`);
      expect(chosen?.provider).toBe('wasm');
      expect(chosen?.reason).toContain('webgpu');
      const { text } = await transcribeInPage(page, samples, 'local');
      expect(text).not.toBe('');
      await page.close();
    });

    it.each(['wasm', 'webgpu'] as const)(
      'works with %s forced, and the text is the same',
      async (provider) => {
        const page = await browser.newPage();
        await page.goto(endpoint.url);
        const remote = async (): Promise<string> => (await transcribeInPage(page, samples, 'remote')).text;
        const opened = await openInPage(page, `packages/${MODEL}/`, {
          codecs: ['fp32'],
          provider,
          prefetch: false,
        });
        expect(opened.provider).toBe(provider);
        // A software adapter takes its time: the encoder's first blocks there, the rest on the endpoint.
        const { text, error, reports } = await transcribeInPage(page, samples, { cut: 3 });
        expect(error).toBeUndefined();
        expect(reports[0]?.plan.provider).toBe(provider);
        expect(text).toBe(await remote());
        await page.close();
      },
    );
  });

  it('runs on one thread, from another origin, where the page is not isolated', async () => {
    const plain = await servePlain(staticDir);
    const browser = await launchChromium();
    try {
      const page = await browser.newPage();
      await page.goto(plain.url);
      const opened = await openInPage(page, `${endpoint.url}/packages/${MODEL}/`, {
        codecs: ['fp32'],
        threads: 2,
      });
      expect(opened).toEqual({ provider: 'wasm', threads: 1, isolated: false });
      await prefetchInPage(page);
      const local = await transcribeInPage(page, samples, 'local');
      const split = await transcribeInPage(page, samples, { cut: 5 });
      expect(local.error ?? split.error).toBeUndefined();
      expect(split.text).toBe(local.text);
      expect(local.text).not.toBe('');
    } finally {
      await browser.close();
      plain.server.close();
    }
  });
});

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.wasm': 'application/wasm',
};

/** A web server that knows nothing of isolation headers. */
async function servePlain(folder: string): Promise<{ server: Server; url: string }> {
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://localhost').pathname;
    const file = join(folder, path === '/' ? 'index.html' : path);
    readFile(file).then(
      (bytes) => {
        response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream' });
        response.end(bytes);
      },
      () => {
        response.writeHead(404);
        response.end();
      },
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no address');
  return { server, url: `http://127.0.0.1:${address.port}/` };
}
