/** The main job in real Chromium: real recordings, the public API, the worker, a real endpoint process. */

import { readFile } from 'node:fs/promises';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseManifest } from '../../src/package/parse-manifest.ts';
import { importedPackage } from '../fixtures/packages.ts';
import { RECORDINGS, type Recording } from '../fixtures/recordings.ts';
import { wholeModelText } from '../fixtures/whole-model.ts';
import { buildTestPage, findChromium, launchChromium } from './chromium.ts';
import { type EndpointProcess, startEndpoint } from './endpoint-process.ts';
import { eventsInPage, openInPage, prefetchInPage, transcribeInPage } from './page-session.ts';

const MODEL = 'moonshine-tiny-q8';
const chromium = await findChromium();
const present = RECORDINGS.filter((recording) => recording.missing === undefined);
const spoken = present.filter(({ path }) => /librivox|cards|goforward/.test(path));
const whyNot =
  chromium === undefined
    ? 'no Chromium is installed'
    : spoken.length === 0
      ? (RECORDINGS[0]?.missing ?? 'no recordings are installed')
      : undefined;

describe.skipIf(whyNot !== undefined)(
  `speech in Chromium${whyNot === undefined ? '' : `: ${whyNot}`}`,
  () => {
    let browser: Browser;
    let page: Page;
    let endpoint: EndpointProcess;
    let cuts: number[];
    let folder: string;
    let staticDir: string;

    beforeAll(async () => {
      folder = await importedPackage(MODEL);
      staticDir = await buildTestPage('speech');
      endpoint = await startEndpoint([folder], { staticDir });
      const manifest = parseManifest(await readFile(`${folder}/manifest.json`));
      cuts = manifest.cuts.map(({ cut }) => cut);
      browser = await launchChromium();
      page = await browser.newPage();
      await page.goto(endpoint.url);
      await openInPage(page, `packages/${MODEL}/`, { codecs: ['fp32'], fallback: false });
      await prefetchInPage(page);
    });

    afterAll(async () => {
      await browser?.close();
      await endpoint?.stop();
    });

    it.each(spoken)('$name: one text under local, remote and every cut', async (recording: Recording) => {
      const samples = recording.samples();
      const whole = await wholeModelText(MODEL, samples);
      const texts = new Map<string, string>();
      for (const cut of cuts) {
        const { text, error, reports } = await transcribeInPage(page, samples, { cut });
        expect(error).toBeUndefined();
        texts.set(reports[0]?.plan.id ?? `cut ${cut}`, text);
      }
      expect([...texts.keys()]).toHaveLength(cuts.length);
      expect(Object.fromEntries(texts)).toEqual(
        Object.fromEntries([...texts.keys()].map((id) => [id, whole])),
      );
      // Where the unsplit model hears what was said, so does every plan.
      if (words(whole) === words(recording.transcript)) {
        for (const text of texts.values()) expect(words(text)).toBe(words(recording.transcript));
      }
    });

    it('sends one request up and one stream down when the cut lies in the encoder', async () => {
      const [recording] = spoken;
      if (recording === undefined) throw new Error('a recording is needed');
      const samples = recording.samples();
      await openInPage(page, `packages/${MODEL}/`, { codecs: ['int8'] });
      await prefetchInPage(page);
      const frames = { up: 0, upBytes: 0, down: 0 };
      const client = await page.context().newCDPSession(page);
      await client.send('Network.enable');
      client.on('Network.webSocketFrameSent', ({ response }) => {
        frames.up += 1;
        frames.upBytes += Buffer.from(response.payloadData, 'base64').byteLength;
      });
      client.on('Network.webSocketFrameReceived', () => {
        frames.down += 1;
      });
      const { reports, tokens, text } = await transcribeInPage(page, samples, { cut: 3, codec: 'int8' });
      await client.detach();
      const [report] = reports;
      const pcm = samples.length * 2;
      console.log(
        `${recording.name}: int8 at cut 3 sends ${report?.bytesUp} bytes up for ${pcm} bytes of 16-bit PCM; ` +
          `${frames.up} frame up, ${frames.down} down for ${tokens.length} tokens; text "${text}"`,
      );
      expect(report?.roundTrips).toBe(1);
      expect(frames.up).toBe(1);
      expect(frames.down).toBe(tokens.length + 1);
      expect(report?.bytesUp).toBe(frames.upBytes);
      expect(frames.upBytes).toBeLessThan(pcm / 2);
    });

    it('keeps weights: a second visit fetches none', async () => {
      const shards: string[] = [];
      page.on('request', (request) => {
        if (/\.(bin|onnx)$/.test(new URL(request.url()).pathname)) shards.push(request.url());
      });
      await page.reload();
      await openInPage(page, `packages/${MODEL}/`, { codecs: ['fp32'] });
      const [recording] = spoken;
      const { text, reports } = await transcribeInPage(
        page,
        recording?.samples() ?? new Float32Array(16_000),
        'local',
      );
      expect(text).not.toBe('');
      expect(reports[0]?.bytesUp).toBe(0);
      expect(shards).toEqual([]);
      const events = await eventsInPage<{ type: string; cached?: boolean }>(page);
      expect(events.find(({ type }) => type === 'profile')?.cached).toBe(true);
    });

    it('goes on with the same text when the endpoint is killed before and during a request', async () => {
      const samples = spoken.at(0)?.samples() ?? new Float32Array(16_000);
      await openInPage(page, `packages/${MODEL}/`, { codecs: ['fp32'] });
      await prefetchInPage(page);
      const expected = (await transcribeInPage(page, samples, 'local')).text;
      const { port } = endpoint;
      // The cut lies in the decoder: a round trip per token leaves time to be killed in the middle.
      const killedAt: number[] = [];
      await page.exposeFunction('killEndpointFromPage', async () => {
        killedAt.push(killedAt.length);
        await endpoint.kill();
      });
      const during = await page.evaluate(async (bytes) => {
        const holder = globalThis as typeof globalThis & {
          current?: Awaited<ReturnType<typeof isthmusApi.createSession>>;
          killEndpointFromPage?: () => Promise<void>;
        };
        if (holder.current === undefined) throw new Error('open a session first');
        const raw = Uint8Array.from(atob(bytes), (char) => char.charCodeAt(0));
        let count = 0;
        const { text, reports } = await isthmusApi.transcribe(holder.current, new Float32Array(raw.buffer), {
          plan: { cut: 10 },
          onText: () => {
            count += 1;
            if (count === 5) void holder.killEndpointFromPage?.();
          },
        });
        return {
          text,
          plans: [...(reports[0]?.abandoned.map(({ plan }) => plan) ?? []), reports[0]?.plan.id],
        };
      }, Buffer.from(samples.buffer).toString('base64'));
      expect(killedAt).toHaveLength(1);
      expect(during).toEqual({ text: expected, plans: ['split@10/fp32', 'local'] });
      // Between: it is still gone, and planning knows.
      const between = await transcribeInPage(page, samples, 'auto');
      expect(between.text).toBe(expected);
      expect(between.reports[0]?.plan.id).toBe('local');
      // Back on the same port: the next request may use it again.
      endpoint = await startEndpoint([folder], { staticDir, port });
      const back = await transcribeInPage(page, samples, { cut: 3 });
      expect(back.text).toBe(expected);
    });

    it('says what is missing when neither endpoint nor weights can be had, and recovers', async () => {
      const samples = spoken.at(0)?.samples() ?? new Float32Array(16_000);
      const context = await browser.newContext();
      const fresh = await context.newPage();
      await fresh.goto(endpoint.url);
      await openInPage(fresh, `packages/${MODEL}/`, { codecs: ['fp32'], prefetch: false });
      const before = await transcribeInPage(fresh, samples, 'remote');
      expect(before.error).toBeUndefined();
      const { port } = endpoint;
      await endpoint.kill();
      const lost = await transcribeInPage(fresh, samples, 'auto');
      expect(lost.error?.code).toBe('weights-missing');
      endpoint = await startEndpoint([folder], { staticDir, port });
      const again = await transcribeInPage(fresh, samples, 'auto');
      expect(again.text).toBe(before.text);
      await context.close();
    });
  },
);

function words(text: string): string {
  return text
    .toLowerCase()
    .replace(/\bmr\.?(?=\s)/g, 'mister')
    .replace(/[^a-z' ]+/g, ' ')
    .replace(/\s+/g, ' ')
    .trim();
}
