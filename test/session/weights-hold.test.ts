/** How long weights stand back for a first text: as long as they would come too late for it, and not for ever. */
import { expect, it } from 'vitest';
import type { Shared } from '../../src/session/parts.ts';
import { Progress } from '../../src/session/text/progress.ts';
import { Turns } from '../../src/session/turns.ts';
import { MAX_HOLD_MS, Weights } from '../../src/session/weights.ts';

const later = () => new Promise((resolve) => setTimeout(resolve));

/** Weights that take a second, behind a text that has been asked for. */
function standing(leftMs: number) {
  const fetched: string[] = [];
  const timers: { ms: number; end: AbortController }[] = [];
  const runner = { fetchFiles: async (paths: readonly string[]) => void fetched.push(...paths) };
  const shared = {
    parts: { manifest: { text: {}, blocks: [], files: { a: { bytes: 500 }, b: { bytes: 500 } } } },
    options: {},
    link: { state: 'up' },
    device: {
      files: () => ['a', 'b'],
      missingBytes: () => 1000,
      refreshMissing: async () => undefined,
      start: async () => undefined,
      use: async (work: (one: typeof runner) => unknown) => work(runner),
    },
    knowledge: { estimateLink: () => ({ downBytesPerSecond: 1000 }) },
    emit: () => undefined,
    timeout: (ms: number) => {
      const end = new AbortController();
      timers.push({ ms, end });
      return end.signal;
    },
  } as unknown as Shared;
  const turns = new Turns();
  turns.announce();
  const spoken = new AbortController();
  const stop = new AbortController();
  const weights = new Weights(
    shared,
    turns,
    { spoken: spoken.signal, leftMs: () => leftMs },
    async () => undefined,
  );
  const done = weights.fetchAhead(stop.signal);
  /** The latest time that is waited for is over. */
  const pass = async (): Promise<number> => {
    await later();
    const last = timers.at(-1);
    last?.end.abort();
    await later();
    return last?.ms ?? 0;
  };
  return { fetched, pass, spoken, stop, done };
}

it('come beside one that takes longer than they do', async () => {
  const { fetched, pass, done } = standing(1001);
  expect(await pass()).toBe(MAX_HOLD_MS);
  await done;
  expect(fetched).toEqual(['a', 'b']);
});

it('wait on where they would be too late for it, until it ends', async () => {
  const { fetched, pass, spoken, done } = standing(999);
  expect(await pass()).toBe(MAX_HOLD_MS);
  expect(fetched).toEqual([]);
  spoken.abort();
  await done;
  expect(fetched).toEqual(['a', 'b']);
});

it('wait on no longer than seven seconds', async () => {
  const { fetched, pass, done } = standing(999);
  await pass();
  expect(fetched).toEqual([]);
  expect(await pass()).toBe(7000);
  await done;
  expect(fetched).toEqual(['a', 'b']);
});

it('do not come when all is over', async () => {
  const { fetched, stop, done } = standing(1001);
  await later();
  stop.abort();
  await done;
  expect(fetched).toEqual([]);
});

it('an answer shows what is left of it once it has a pace', () => {
  const progress = new Progress();
  expect(progress.leftMs).toBe(0);
  progress.begin(20);
  expect(progress.leftMs).toBe(Infinity);
  for (let made = 0; made < 8; made += 1) {
    expect(progress.leftMs).toBe(Infinity);
    progress.token(500 + 10 * made);
  }
  expect(progress.leftMs).toBeCloseTo(120);
  progress.end();
  expect(progress.leftMs).toBe(0);
});
