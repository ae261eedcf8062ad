/** A first visit in real Chromium: what comes over the network before the first answer, and what the page itself does. */
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Endpoint } from '../../src/endpoint/endpoint.ts';
import { createEndpoint } from '../../src/node/create-endpoint.ts';
import { type OpenedPackage, openPackage } from '../../src/package/node/open-package.ts';
import { importedPackage } from '../fixtures/packages.ts';
import { utterance } from '../fixtures/utterance.ts';
import { buildTestPage, findChromium, launchChromium } from './chromium.ts';
import { openInPage, prefetchInPage, transcribeInPage } from './page-session.ts';

const MODEL = 'moonshine-tiny-q8';
const chromium = await findChromium();

/** Characters of JSON that a page reads in a moment: messages and answers, never a tokenizer. */
const SMALL_JSON = 50_000;

interface Watched {
  longestJson: number;
}

describe.skipIf(chromium === undefined)(
  `a first visit in Chromium${chromium === undefined ? ': no Chromium is installed' : ''}`,
  () => {
    let browser: Browser;
    let endpoint: Endpoint;
    let pkg: OpenedPackage;
    let samples: Float32Array;

    beforeAll(async () => {
      pkg = await openPackage(await importedPackage(MODEL));
      const staticDir = await buildTestPage('first-visit');
      endpoint = await createEndpoint({ packages: [pkg], staticDir, warm: false });
      // Which reads its tokenizer for that, as it does by itself where it is warmed up.
      const asked = { method: 'POST', body: JSON.stringify({ tokens: [] }) };
      expect((await fetch(`${endpoint.url}/v2/models/${MODEL}/words`, asked)).status).toBe(200);
      samples = await utterance();
      browser = await launchChromium();
    });

    afterAll(async () => {
      await browser?.close();
      await endpoint?.close({ graceMs: 0 });
    });

    /** Files that are fetched, by the page or its worker, and the longest JSON that the page itself reads. */
    async function visitor(): Promise<{ page: Page; fetched: string[]; longestJson: () => Promise<number> }> {
      const context = await browser.newContext();
      const fetched: string[] = [];
      context.on('request', (request) => {
        fetched.push(new URL(request.url()).pathname.replace(/^.*\//, ''));
      });
      const page = await context.newPage();
      await page.addInitScript(() => {
        const seen = globalThis as typeof globalThis & Watched;
        seen.longestJson = 0;
        const parse = JSON.parse.bind(JSON);
        JSON.parse = (text: string, ...rest) => {
          seen.longestJson = Math.max(seen.longestJson, text.length);
          return parse(text, ...rest);
        };
      });
      await page.goto(endpoint.url);
      const longestJson = () => page.evaluate(() => (globalThis as typeof globalThis & Watched).longestJson);
      return { page, fetched, longestJson };
    }

    it('is answered without a runtime, without weights, and without a tokenizer on the page', async () => {
      const { page, fetched, longestJson } = await visitor();
      await openInPage(page, `packages/${MODEL}/`, { prefetch: false });
      const { text, reports, error } = await transcribeInPage(page, samples, 'remote');
      expect(error).toBeUndefined();
      expect(text).not.toBe('');
      expect(reports.map(({ plan }) => plan.id)).toEqual(['remote']);
      expect(fetched.filter((file) => file.endsWith('.wasm'))).toEqual([]);
      const shards = new Set(
        pkg.manifest.blocks.flatMap((block) => block.shards).map((path) => path.replace(/^.*\//, '')),
      );
      expect(fetched.filter((file) => shards.has(file))).toEqual([]);
      expect(await longestJson()).toBeLessThan(SMALL_JSON);
      // What was left out comes when it is asked for, and says the same.
      await prefetchInPage(page);
      const here = await transcribeInPage(page, samples, 'local');
      expect(here.reports.map(({ plan }) => plan.id)).toEqual(['local']);
      expect(here.text).not.toBe('');
      expect(fetched.some((file) => file.endsWith('.wasm'))).toBe(true);
      await page.context().close();
    });

    it('asks for the manifest beside its worker, and once', async () => {
      const { page, fetched } = await visitor();
      let isManifestAsked = false;
      await page.context().route('**/runner-worker*.js', async (route) => {
        isManifestAsked = fetched.includes('manifest.json');
        // Were it the worker that asks, it would wait for this script and this script for it.
        if (!isManifestAsked)
          await page.context().waitForEvent('request', (request) => request.url().endsWith('manifest.json'));
        isManifestAsked = true;
        await route.continue();
      });
      await openInPage(page, `packages/${MODEL}/`, { prefetch: false });
      expect(isManifestAsked).toBe(true);
      expect(fetched.filter((file) => file === 'manifest.json')).toHaveLength(1);
      await page.context().close();
    });

    it('waits for no tokenizer where the endpoint tells of words with its tokens, and asks for none', async () => {
      const { page, fetched } = await visitor();
      let open = (): void => undefined;
      const isLet = new Promise<void>((resolve) => {
        open = resolve;
      });
      await page.context().route('**/tokenizer.json', async (route) => {
        await isLet;
        await route.continue();
      });
      await openInPage(page, `packages/${MODEL}/`, { prefetch: false });
      const told = await transcribeInPage(page, samples, 'remote');
      expect(told.error).toBeUndefined();
      expect(fetched).not.toContain('words');
      // Word by word as well.
      expect(told.partial.length).toBeGreaterThan(1);
      expect(told.partial.at(-1)).toBe(told.text);
      open();
      const before = fetched.filter((file) => file === 'words').length;
      await prefetchInPage(page);
      const here = await transcribeInPage(page, samples, 'local');
      expect(here.text).toBe(told.text);
      expect(fetched.filter((file) => file === 'words')).toHaveLength(before);
      await page.context().close();
    });

    it('goes on behind the first answer until the device is measured and has it all', async () => {
      const { page } = await visitor();
      await openInPage(page, `packages/${MODEL}/`, {});
      const first = await transcribeInPage(page, samples, 'auto');
      expect(first.reports.map(({ plan }) => plan.id)).toEqual(['remote']);
      await page.waitForFunction(() => {
        const { seen = [] } = globalThis as typeof globalThis & {
          seen?: { type: string; done?: number; total?: number }[];
        };
        const isWhole = seen.some(({ type, done, total }) => type === 'weights' && done === total);
        return isWhole && seen.some(({ type }) => type === 'profile');
      });
      expect((await transcribeInPage(page, samples, 'local')).text).not.toBe('');
      await page.context().close();
    });
  },
);
