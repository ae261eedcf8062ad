/** Text in real Chromium: the public API, the worker, SmolLM2, a real endpoint process that dies. */
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { GenerateOptions, TextResult } from '../../src/index.ts';
import { smollm2 } from '../fixtures/smollm2.ts';
import { smollm2Package } from '../fixtures/text-packages.ts';
import { buildTestPage, findChromium, launchChromium } from './chromium.ts';
import { type EndpointProcess, startEndpoint } from './endpoint-process.ts';

const chromium = await findChromium();
const model = await smollm2();
const whyNot =
  chromium === undefined ? 'no Chromium is installed' : 'missing' in model ? model.missing : undefined;

const MESSAGES = [{ role: 'user', content: 'What is an isthmus?' }];
const TOKENS = 24;

type Options = Omit<GenerateOptions, 'signal' | 'onToken' | 'onMove'>;

interface Said {
  readonly result: TextResult;
  readonly pieces: readonly string[];
}

/** Asks in the page; `killAt` calls the test's `killEndpoint` when that many tokens are there. */
function ask(page: Page, options: Options, more: { readonly killAt?: number } = {}): Promise<Said> {
  return page.evaluate(
    async ({ messages, options, killAt }) => {
      const holder = globalThis as typeof globalThis & {
        text?: Awaited<ReturnType<typeof isthmusApi.createSession>>;
        killEndpoint?: () => Promise<void>;
      };
      if (holder.text === undefined) throw new Error('open a session first');
      let tokens = 0;
      const stream = holder.text.generate(messages, {
        ...options,
        onToken: () => {
          tokens += 1;
          if (tokens === killAt) void holder.killEndpoint?.();
        },
      });
      const pieces: string[] = [];
      for await (const piece of stream) pieces.push(piece);
      const result = await stream.result;
      return { result: JSON.parse(JSON.stringify(result)) as TextResult, pieces };
    },
    { messages: MESSAGES, options, killAt: more.killAt },
  );
}

describe.skipIf(whyNot !== undefined)(
  `text in Chromium${whyNot === undefined ? '' : `: ${whyNot}`}`,
  { timeout: 300_000 },
  () => {
    let browser: Browser;
    let page: Page;
    let endpoint: EndpointProcess;
    let name: string;
    let local: Said;

    beforeAll(async () => {
      const found = await smollm2Package();
      if ('missing' in found) throw new Error(found.missing);
      endpoint = await startEndpoint([found.dir], { staticDir: await buildTestPage('text') });
      browser = await launchChromium();
      page = await browser.newPage();
      await page.goto(endpoint.url);
      name = await page.evaluate(async () => {
        const holder = globalThis as typeof globalThis & {
          text?: Awaited<ReturnType<typeof isthmusApi.createSession>>;
        };
        const offers = (await (await fetch('packages/')).json()) as { packages: { manifest: string }[] };
        holder.text = await isthmusApi.createSession(offers.packages[0]?.manifest ?? '', {});
        return holder.text.manifest.name;
      });
      await page.exposeFunction('killEndpoint', () => endpoint.kill());
      local = await ask(page, { plan: 'local', maxTokens: TOKENS });
    });

    afterAll(async () => {
      await browser?.close();
      await endpoint?.stop();
    });

    it('streams words made on the device', () => {
      const { result, pieces } = local;
      console.log(`${name}: "${result.text}" at ${result.usage.tokensPerSecond.toFixed(1)} tokens/s in WASM`);
      expect(pieces.join('')).toBe(result.text);
      expect(pieces.length).toBeGreaterThan(5);
      expect(result.text).toMatch(/isthmus/i);
      expect(result.usage).toMatchObject({ newTokens: TOKENS, bytesUp: 0, roundTrips: 0 });
    });

    it('says the same from the endpoint, cut in two, and with the endpoint in the middle', async () => {
      const blocks = await page.evaluate(() => {
        const holder = globalThis as typeof globalThis & { text?: { manifest: { blocks: unknown[] } } };
        return holder.text?.manifest.blocks.length ?? 0;
      });
      const remote = await ask(page, { plan: 'remote', maxTokens: TOKENS });
      expect(remote.result.usage.roundTrips).toBe(1);
      const plans = [{ cut: Math.floor(blocks / 2) }, { cut: 2, until: blocks - 2 }] as const;
      for (const plan of plans) {
        const { result } = await ask(page, { plan, maxTokens: TOKENS, draft: 0 });
        const drafted = await ask(page, { plan, maxTokens: TOKENS, draft: 4 });
        expect(drafted.result.text).toBe(result.text);
        expect(result.usage.roundTrips).toBeGreaterThanOrEqual(TOKENS);
        expect(drafted.result.usage.roundTrips).toBeLessThanOrEqual(result.usage.roundTrips);
        // Native and WASM round alike but for the last bits; see the README on close calls.
        expect(commonPrefix(result.tokens, local.result.tokens)).toBeGreaterThan(3);
        expect(commonPrefix(remote.result.tokens, local.result.tokens)).toBeGreaterThan(3);
      }
    });

    it('draws the same with a seed, and stops before a stop text', async () => {
      const drawn = { plan: 'local', temperature: 0.8, topP: 0.95, seed: 7, maxTokens: TOKENS } as const;
      const [first, second] = [await ask(page, drawn), await ask(page, drawn)];
      expect(second.result.tokens).toEqual(first.result.tokens);
      const stop = local.result.text.slice(10, 16);
      const { result } = await ask(page, { plan: 'local', stop: [stop], maxTokens: TOKENS });
      expect(result.reason).toBe('stop');
      expect(result.text).toBe(local.result.text.slice(0, local.result.text.indexOf(stop)));
    });

    it('refuses prompts that are empty or beyond the context, and answers two that come at once', async () => {
      const told = await page.evaluate(async (maxTokens) => {
        type Answer = AsyncIterable<string> & { readonly result: Promise<{ readonly tokens: number[] }> };
        type Session = { generate(prompt: string, options: Record<string, unknown>): Answer };
        const { text } = globalThis as typeof globalThis & { text?: Session };
        if (text === undefined) throw new Error('no session is open');
        const options = { plan: 'local', temperature: 0, maxTokens };
        const tokensOf = async (prompt: string): Promise<readonly number[]> => {
          const answer = text.generate(prompt, options);
          for await (const _ of answer);
          return (await answer.result).tokens;
        };
        const codeOf = async (prompt: string): Promise<unknown> =>
          tokensOf(prompt).then(
            () => 'answered',
            (error: { code?: unknown }) => error.code,
          );
        const codes = [await codeOf(''), await codeOf('word '.repeat(20_000))];
        const alone = [await tokensOf('The sea is'), await tokensOf('A ship has')];
        return { codes, alone, both: await Promise.all([tokensOf('The sea is'), tokensOf('A ship has')]) };
      }, 8);
      expect(told.codes).toEqual(['bad-input', 'input-too-long']);
      expect(told.alone[0]).toHaveLength(8);
      expect(told.both).toEqual(told.alone);
    });

    it('goes on when the endpoint is killed in mid-answer', async () => {
      const { result } = await ask(page, { plan: 'remote', maxTokens: TOKENS }, { killAt: 6 });
      const plans = result.usage.plans.map(({ plan }) => plan);
      expect(plans[0]).toBe('remote');
      expect(plans.at(-1)).toBe('local');
      expect(result.tokens).toHaveLength(TOKENS);
    });
  },
);

function commonPrefix(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((token, index) => token !== b[index]);
  return at < 0 ? a.length : at;
}
