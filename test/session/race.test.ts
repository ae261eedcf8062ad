/** A race between two plans, step by step: what is told, who wins, what happens to the other. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IsthmusError } from '../../src/errors.ts';
import type { PricedPlan } from '../../src/planner/types.ts';
import { type Executed, NO_TRAFFIC } from '../../src/session/execute.ts';
import { race } from '../../src/session/race.ts';
import type { PlanWatch, RaceLost, RaceWon } from '../../src/session/race-types.ts';
import { planOf } from '../planner/sides.ts';
import { rejection } from './with-session.ts';

const DONE: Executed = { outputs: {}, deviceMs: {}, traffic: NO_TRAFFIC, roundTrips: 0, linkMs: 0 };
const LOST = new IsthmusError('endpoint-lost', 'gone');
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Two plans that do what the test says, and a second one that may begin when the test says. */
function staged(signal?: AbortSignal, told: number[] = []) {
  const runs = new Map<string, { watch: PlanWatch; end: () => void; fail: (error: unknown) => void }>();
  const heard: number[] = [];
  const begun: string[] = [];
  const waits: AbortController[] = [];
  const state = { isLate: false, now: 0, thrown: undefined as unknown };
  const plans = { first: planOf('remote', 100), second: planOf('local', 120) };
  const result = race({
    first: plans.first,
    second: () => ({ plan: plans.second, cause: 'late', inMs: state.isLate ? 0 : 5 }),
    run: (plan: PricedPlan, watch) =>
      new Promise<Executed>((resolve, reject) => {
        watch.signal.addEventListener('abort', () => reject(new IsthmusError('aborted', 'stopped')));
        runs.set(plan.id, { watch, end: () => resolve(DONE), fail: reject });
      }),
    told,
    tell: (token) => {
      heard.push(token);
      if (state.thrown !== undefined) throw state.thrown;
    },
    onSecond: ({ plan }) => begun.push(plan.id),
    signal,
    clock: { now: () => state.now, epoch: () => 0 },
    timeout: () => {
      const wait = new AbortController();
      waits.push(wait);
      return wait.signal;
    },
  });
  const of = (id: 'remote' | 'local') => {
    const run = runs.get(id);
    if (run === undefined) throw new Error(`${id} has not begun`);
    return run;
  };
  const say = (id: 'remote' | 'local', ...tokens: number[]): void => {
    for (const token of tokens) of(id).watch.onToken(token);
  };
  const begin = async (): Promise<void> => {
    state.isLate = true;
    waits.at(-1)?.abort();
    await turn();
  };
  return { result, runs, of, say, begin, heard, begun, state, waits };
}

function won(result: RaceWon | RaceLost): RaceWon {
  if ('failures' in result) throw new Error('nobody won');
  return result;
}

describe('a race', () => {
  it('of one plan is that plan', async () => {
    const { result, say, of, heard, begun } = staged();
    say('remote', 1, 2);
    of('remote').end();
    const { winner, hedge } = won(await result);
    expect(winner.plan.id).toBe('remote');
    expect(hedge).toBeUndefined();
    expect(heard).toEqual([1, 2]);
    expect(begun).toEqual([]);
  });

  it('asks again when its time has come, and not before', async () => {
    const { result, waits, runs, of, begin, state } = staged();
    waits.at(-1)?.abort();
    await turn();
    expect(waits).toHaveLength(2);
    expect([...runs.keys()]).toEqual(['remote']);
    state.now = 40;
    await begin();
    expect([...runs.keys()]).toEqual(['remote', 'local']);
    of('local').end();
    const { hedge, winner } = won(await result);
    expect(winner).toMatchObject({ plan: { id: 'local' }, beganAt: 40 });
    expect(hedge).toMatchObject({ cause: 'late', loser: { plan: { id: 'remote' } } });
    expect(of('remote').watch.signal.aborted).toBe(true);
  });

  it('begins the second plan with what was told', async () => {
    const { result, say, begin, of, heard } = staged(undefined, [7]);
    say('remote', 8);
    await begin();
    expect(of('local').watch.prefix).toEqual([7, 8]);
    say('local', 9);
    say('remote', 9, 10);
    of('local').end();
    // It ended before what the other one has told already.
    await turn();
    of('remote').end();
    expect(won(await result).winner.plan.id).toBe('remote');
    expect(heard).toEqual([8, 9, 10]);
  });

  it('takes nothing back: who says otherwise than what is out is out', async () => {
    const { result, say, begin, of, heard } = staged();
    await begin();
    say('remote', 1, 2);
    say('local', 1, 3, 4);
    expect(of('local').watch.signal.aborted).toBe(true);
    say('remote', 5);
    of('remote').end();
    const { winner, hedge } = won(await result);
    expect(winner.plan.id).toBe('remote');
    expect(hedge?.loser.error).toMatchObject({ code: 'internal' });
    expect(heard).toEqual([1, 2, 5]);
  });

  it('goes on with one plan when the other fails', async () => {
    const { result, say, begin, of } = staged();
    await begin();
    of('remote').fail(LOST);
    await turn();
    say('local', 1);
    of('local').end();
    const { winner, hedge } = won(await result);
    expect(winner.plan.id).toBe('local');
    expect(hedge?.loser.error).toBe(LOST);
  });

  it('is lost when both fail, the last one told last', async () => {
    const { result, begin, of } = staged();
    await begin();
    of('local').fail(new IsthmusError('run-failed', 'no'));
    await turn();
    of('remote').fail(LOST);
    expect(await result).toMatchObject({
      failures: [
        { plan: 'local', error: { code: 'run-failed' } },
        { plan: 'remote', error: { code: 'endpoint-lost' } },
      ],
    });
  });

  it('begins no second plan once the first has failed', async () => {
    const { result, begin, of, begun } = staged();
    of('remote').fail(LOST);
    expect(await result).toMatchObject({ failures: [{ plan: 'remote' }] });
    await begin();
    expect(begun).toEqual([]);
  });

  it('ends for both when it is aborted, or when the caller throws', async () => {
    const abort = new AbortController();
    const aborted = staged(abort.signal);
    await aborted.begin();
    const running = rejection(aborted.result);
    abort.abort('enough');
    expect(await running).toMatchObject({ code: 'aborted', cause: 'enough' });
    for (const id of ['remote', 'local'] as const) expect(aborted.of(id).watch.signal.aborted).toBe(true);

    const thrown = staged();
    await thrown.begin();
    thrown.state.thrown = new RangeError('mine');
    const throwing = rejection(thrown.result);
    expect(() => thrown.say('local', 1)).toThrow('mine');
    await throwing;
    thrown.say('remote', 1, 2);
    expect(thrown.heard).toEqual([1]);
    expect(thrown.of('remote').watch.signal.aborted).toBe(true);
  });

  it('tells each token once and in order, however the two take turns', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(3), { minLength: 1, maxLength: 8 }),
        fc.option(fc.nat(7), { nil: undefined }),
        fc.array(fc.boolean(), { maxLength: 24 }),
        fc.nat(8),
        async (answer, parting, order, head) => {
          const { result, say, begin, of, heard } = staged();
          const said = { remote: 0, local: 0 };
          const tokenOf = (id: 'remote' | 'local', index: number): number =>
            // From `parting` on the second plan says something else.
            (answer[index] ?? 0) + (id === 'local' && parting !== undefined && index >= parting ? 10 : 0);
          const step = (id: 'remote' | 'local'): void => {
            if (said[id] >= answer.length || of(id).watch.signal.aborted) return;
            say(id, tokenOf(id, said[id]));
            said[id] += 1;
          };
          for (let index = 0; index < Math.min(head, answer.length); index += 1) step('remote');
          await begin();
          said.local = of('local').watch.prefix.length;
          for (const isLocal of order) step(isLocal ? 'local' : 'remote');
          for (const id of ['local', 'remote'] as const) {
            while (said[id] < answer.length && !of(id).watch.signal.aborted) step(id);
            of(id).end();
            await turn();
          }
          const { winner } = won(await result);
          expect(heard).toHaveLength(answer.length);
          // What is out is the winner's answer, but for a prefix that it was given.
          expect(winner.tokens).toBe(heard.length);
          const own = heard.map((_, index) =>
            tokenOf(winner.plan.kind === 'local' ? 'local' : 'remote', index),
          );
          const given = winner.plan.kind === 'local' ? of('local').watch.prefix.length : 0;
          expect(heard.slice(given)).toEqual(own.slice(given));
        },
      ),
    );
  });
});
