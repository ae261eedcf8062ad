/** Which inputs runs of a scenario are on. */
import { describe, expect, it } from 'vitest';

const { taskOf } = await import(new URL('../../bench/grid/tasks.mjs', import.meta.url).href);

/** A page that answers at once, and keeps what it was asked. */
function fakePage() {
  const asked: number[][] = [];
  const usage = { totalMs: 1, ttftMs: 1, tokensPerSecond: 1, bytesUp: 0, bytesDown: 0, roundTrips: 0 };
  const evaluate = async (_: unknown, [tokens]: [number[]]) => {
    asked.push(tokens);
    return { ms: 1, usage, plans: [{ plan: 'local', reason: '' }] };
  };
  return { asked, evaluate };
}

describe('texts of a scenario', () => {
  it('are the same ones for each plan, and others for who is not compared by them', async () => {
    let made = 0;
    const nextPrompt = () => {
      made += 1;
      return { tokens: [made] };
    };
    const task = taskOf({ work: '32+32 tokens' }, { nextPrompt, middles: { text: 3 } });
    const page = fakePage();
    for (const choice of ['local', 'remote']) {
      await task.run(page, choice);
      for (const index of [0, 1, 2]) await task.run(page, choice, index);
    }
    const [first, ...local] = page.asked.slice(0, 4);
    const [second, ...remote] = page.asked.slice(4);
    expect(remote).toEqual(local);
    const all = [first, second, ...local].map((tokens) => tokens?.[0]);
    expect(new Set(all).size).toBe(5);
  });
});
