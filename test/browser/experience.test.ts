/** Shared experience in real Chromium: every request that leaves the page for it is looked at. */
import type { Browser, Page, Request as PageRequest } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createEndpoint, type Endpoint } from '../../src/endpoint/endpoint.ts';
import { parseFleetPath, parseReport } from '../../src/fleet/messages.ts';
import { openPackage } from '../../src/package/node/open-package.ts';
import { importedPackage } from '../fixtures/packages.ts';
import { buildTestPage, findChromium, launchChromium } from './chromium.ts';
import { openInPage } from './page-session.ts';

const MODEL = 'moonshine-tiny-q8';
const chromium = await findChromium();
const isFleet = (request: PageRequest): boolean => new URL(request.url()).pathname.includes('/fleet/');

describe.skipIf(chromium === undefined)(
  `experience in Chromium${chromium === undefined ? ': no Chromium is installed' : ''}`,
  () => {
    let browser: Browser;
    let endpoint: Endpoint;

    beforeAll(async () => {
      const staticDir = await buildTestPage('experience');
      const packages = [await openPackage(await importedPackage(MODEL))];
      endpoint = await createEndpoint({ packages, staticDir, fleet: true, warm: false });
      browser = await launchChromium();
    });

    afterAll(async () => {
      await browser?.close();
      await endpoint?.close({ graceMs: 0 });
    });

    /** A page of a visitor who was never here. */
    async function visitor(): Promise<{ page: Page; asked: PageRequest[] }> {
      const page = await (await browser.newContext()).newPage();
      const asked: PageRequest[] = [];
      page.on('request', (request) => {
        if (isFleet(request)) asked.push(request);
      });
      await page.goto(endpoint.url);
      return { page, asked };
    }

    it('is one question and one report, without cookies, referrer or name', async () => {
      const { page, asked } = await visitor();
      await page.evaluate(() => {
        // biome-ignore lint/suspicious/noDocumentCookie: the page's own, that must stay at home
        document.cookie = 'who=me';
      });
      const reported = page.waitForResponse(
        (response) => isFleet(response.request()) && response.request().method() === 'POST',
      );
      await openInPage(page, `packages/${MODEL}/`, { shareExperience: true });
      expect((await reported).status()).toBe(204);
      expect(asked.map((request) => request.method())).toEqual(['GET', 'POST']);
      for (const request of asked) {
        const [, , , model, , provider, deviceClass] = new URL(request.url()).pathname.split('/');
        expect(model).toBe(MODEL);
        expect(parseFleetPath(provider, deviceClass)).toBeDefined();
        const headers = await request.allHeaders();
        expect([headers.cookie, headers.referer]).toEqual([undefined, undefined]);
      }
      const body = asked[1]?.postDataBuffer();
      expect(parseReport(new Uint8Array(body ?? [])).version).toBe(1);
      expect(endpoint.metrics().fleet).toEqual({ 'no-prior': 1, report: 1 });
      await page.context().close();
    });

    it('is not there without consent', async () => {
      const { page, asked } = await visitor();
      await openInPage(page, `packages/${MODEL}/`, {});
      await page.evaluate(async () => {
        const holder = globalThis as typeof globalThis & { current?: { close(): Promise<void> } };
        await holder.current?.close();
      });
      expect(asked).toEqual([]);
      await page.context().close();
    });
  },
);
