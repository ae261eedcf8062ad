/** State that stays in the WASM heap gives, bit for bit, what the public API gives; in real Chromium. */
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findChromium, launchChromium } from './chromium.ts';
import { type IsolatedServer, serveIsolated } from './isolated-server.ts';
import type { Outcome, Step } from './resident-page/script.ts';

const root = new URL('../../', import.meta.url).pathname;
const chromium = await findChromium();

const run = (state: string, position: number, ...values: number[]): Step => ({
  do: 'run',
  state,
  position,
  values,
});
const open = (state: string): Step => ({ do: 'open', state });
const close = (state: string): Step => ({ do: 'close', state });

/** Tokens that depend on their place alone. */
function tokens(count: number, seed = 1): number[] {
  return Array.from({ length: count }, (_, index) => (index * 37 + seed * 11 + 3) % 160);
}

describe.skipIf(chromium === undefined)('state in the WASM heap', () => {
  let browser: Browser;
  let server: IsolatedServer;
  let page: Page;

  const visit = async (threads: number, hidden = false): Promise<{ resident: boolean; threads: number }> => {
    await page.goto(server.url);
    await page.waitForFunction(() => globalThis.residentApi !== undefined);
    return page.evaluate(([count, hide]) => residentApi.start(count, hide), [threads, hidden] as const);
  };
  const play = (which: 'language' | 'plain', steps: readonly Step[]): Promise<Outcome> =>
    page.evaluate(([name, list]) => residentApi.play(name, list), [which, steps] as const);

  beforeAll(async () => {
    const outDir = join(root, '.cache/test-pages/resident');
    await build({
      configFile: join(root, 'vite.config.ts'),
      root: join(root, 'test/browser/resident-page'),
      publicDir: false,
      logLevel: 'warn',
      build: { outDir, emptyOutDir: true },
    });
    server = await serveIsolated(outDir);
    browser = await launchChromium();
    page = await browser.newPage();
  });

  afterAll(async () => {
    await browser?.close();
    await server?.close();
  });

  it.each([1, 2])('prefill, steps, rewind, copies and growth on %i thread(s)', async (threads) => {
    expect(await visit(threads)).toEqual({ resident: true, threads });
    const outcome = await play('language', [
      open('a'),
      run('a', 0, ...tokens(250)),
      run('a', 250, 5),
      run('a', 251, 9, 12, 15),
      // Past the smallest buffer, so that it grows; then back over rows that were written since.
      run('a', 254, ...tokens(8, 2)),
      run('a', 251, 9),
      run('a', 100, ...tokens(20, 3)),
      { do: 'read', state: 'a', from: 90, to: 120 },
      run('a', 0, 7, 8),
      { do: 'write', state: 'a', from: 2 },
      run('a', 32, 1),
      close('a'),
    ]);
    expect(outcome.resident).toEqual(outcome.public);
    const runs = outcome.resident.filter((line) => line.startsWith('1x1x160:'));
    expect(new Set(runs).size).toBe(8);
  });

  it('an answer that was rewound to equals a fresh one', async () => {
    await visit(1);
    const { resident } = await play('language', [
      open('a'),
      run('a', 0, ...tokens(40)),
      run('a', 40, 1, 2, 3),
      run('a', 40, 4),
      open('b'),
      run('b', 0, ...tokens(40)),
      run('b', 40, 4),
    ]);
    expect(resident[3]).toBe(resident[6]);
    expect(resident[3]).not.toBe(resident[2]);
  });

  it('a prompt at once, in parts and token by token are the same to the last bit', async () => {
    await visit(1);
    const prompt = tokens(60);
    const last = (position: number): Step => run('a', position, 4);
    const { resident } = await play('language', [
      open('a'),
      run('a', 0, ...prompt),
      last(60),
      run('a', 0, ...prompt.slice(0, 21)),
      run('a', 21, ...prompt.slice(21)),
      last(60),
      ...prompt.map((token, index) => run('a', index, token)),
      last(60),
    ]);
    expect([resident[4], resident.at(-2)]).toEqual([resident[1], resident[1]]);
    expect([resident[5], resident.at(-1)]).toEqual([resident[2], resident[2]]);
  });

  it('two texts in turn do not touch one another', async () => {
    await visit(1);
    const alone = (state: string, seed: number): Step[] => [
      run(state, 0, ...tokens(30, seed)),
      run(state, 30, seed),
      run(state, 31, 1, 2),
    ];
    const [a1, a2, a3] = alone('a', 3);
    const [b1, b2, b3] = alone('b', 8);
    const mixed = [a1, b1, b2, a2, a3, b3].flatMap((step) => step ?? []);
    const together = await play('language', [open('a'), open('b'), ...mixed]);
    const apart = await play('language', [open('a'), ...alone('a', 3), open('b'), ...alone('b', 8)]);
    expect(together.resident).toEqual(together.public);
    expect([2, 5, 6].map((at) => together.resident[at])).toEqual(apart.resident.slice(1, 4));
    expect([3, 4, 7].map((at) => together.resident[at])).toEqual(apart.resident.slice(5, 8));
  });

  it('state that grows by concatenation or is replaced stays too', async () => {
    await visit(1);
    const { resident, public: outside } = await play('plain', [
      open('a'),
      run('a', 0, 1, 2, 3),
      run('a', 3, -4),
      run('a', 4, 5, 6),
      { do: 'read', state: 'a', from: 1, to: 6 },
      // What is replaced stands where it stands, and cannot be taken back but to the start.
      run('a', 2, 7),
      run('a', 6, 8),
      run('a', 0, 9),
      run('a', 1, 10),
      close('a'),
    ]);
    expect(resident).toEqual(outside);
    expect(resident[5]).toMatch(/^bad-option: /);
    expect(resident[4]).toMatch(/^5x2:/);
  });

  it('closing gives the heap back, and opening again does not grow it', async () => {
    await visit(1);
    const round = (state: string): Step[] => [
      open(state),
      run(state, 0, ...tokens(300)),
      run(state, 300, 1),
      run(state, 20, 2),
      close(state),
    ];
    const first = await play('language', round('a'));
    expect(first.held.at(-1)).toEqual({ tensors: 0, bytes: 0 });
    expect(first.held[1]?.tensors).toBe(8);
    const many = await play('language', Array.from({ length: 20 }, (_, index) => round(`s${index}`)).flat());
    expect(many.held.at(-1)).toEqual({ tensors: 0, bytes: 0 });
    expect(many.heapBytes[1]).toBe(many.heapBytes[0]);
    const plain = await play('plain', [open('a'), run('a', 0, 1, 2), run('a', 2, 3), close('a')]);
    expect(plain.held.at(-1)).toEqual({ tensors: 0, bytes: 0 });
  });

  it('a run that fails says why, leaks nothing and leaves what lies before it', async () => {
    await visit(1);
    const {
      resident,
      held,
      public: outside,
    } = await play('language', [
      open('a'),
      run('a', 0, ...tokens(20)),
      // No such token: the runtime refuses the index.
      run('a', 20, 100_000),
      run('a', 20, 4),
      run('a', 400, 4),
      close('a'),
    ]);
    expect(resident[2]).toMatch(/^run-failed: the runtime failed: .*(Gather|indices|bounds)/s);
    expect(resident[3]).toBe(outside[3]);
    expect(resident[4]).toMatch(/^bad-option: /);
    expect(held[2]).toEqual(held[1]);
    expect(held.at(-1)).toEqual({ tensors: 0, bytes: 0 });
  });

  it('where the module cannot be seen, the public API is used and says so', async () => {
    expect(await visit(1, true)).toEqual({ resident: false, threads: 1 });
    const without = await play('language', [open('a'), run('a', 0, 1, 2, 3), run('a', 3, 4)]);
    expect(without.resident).toEqual([]);
    await visit(1);
    expect(await page.evaluate(() => residentApi.prototypeIsClean())).toBe(true);
    const within = await play('language', [open('a'), run('a', 0, 1, 2, 3), run('a', 3, 4)]);
    expect(within.resident).toEqual(without.public);
  });
});
