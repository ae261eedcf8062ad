import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IsthmusError } from '../../../src/errors.ts';
import { goalOf } from '../../../src/planner/objective.ts';
import { TextEngine } from '../../../src/session/text/engine.ts';
import type { TextRequest } from '../../../src/session/text/engine-types.ts';
import { NO_GUESSES } from '../../../src/session/text/guess-book.ts';
import type { PlanPeriod, TextPlan } from '../../../src/session/text/types.ts';
import { nextToken, reference } from './fake-lane.ts';
import { FakePlaces } from './fake-places.ts';
import { noProposals as none, textRequest } from './text-request.ts';

const BLOCKS = 5;
const PROMPT = [1, 2, 3, 1, 2];

/** Proposes what followed the same token before. */
const lookUp: TextRequest['proposals'] = {
  propose: (tokens, most) => tokens.slice(-3).slice(0, Math.max(0, most)),
  learn: () => undefined,
  wanted: 'auto',
  note: () => undefined,
};

const request = (more: Partial<TextRequest> = {}): TextRequest =>
  textRequest({ tokens: PROMPT, maxTokens: 20, ...more });

/** A later wish replaces one that was not met yet, which is then told so. */
function ask(engine: TextEngine, to: Exclude<TextPlan, 'auto'>): void {
  engine.moveTo(to).catch((error: unknown) => expect(error).toMatchObject({ code: 'aborted' }));
}

const plan: fc.Arbitrary<Exclude<TextPlan, 'auto'>> = fc.oneof(
  fc.constant<'local'>('local'),
  fc.constant<'remote'>('remote'),
  fc.record({ cut: fc.integer({ min: 0, max: BLOCKS }) }),
  fc
    .tuple(fc.integer({ min: 1, max: BLOCKS - 1 }), fc.integer({ min: 1, max: BLOCKS - 1 }))
    .map(([a, b]) => ({ cut: Math.min(a, b), until: Math.max(a, b) })),
);

describe('a text on two places', () => {
  it('is the same under every plan, with and without proposals', async () => {
    await fc.assert(
      fc.asyncProperty(plan, fc.boolean(), async (chosen, drafts) => {
        const engine = new TextEngine(new FakePlaces(BLOCKS));
        const told: number[] = [];
        const { tokens, reason } = await engine.run(
          request({
            plan: chosen,
            proposals: drafts ? lookUp : none,
            onToken: (token) => {
              told.push(token);
              return false;
            },
          }),
        );
        expect(tokens).toEqual(reference(PROMPT, 20));
        expect(told).toEqual(tokens);
        expect(reason).toBe('max-tokens');
      }),
    );
  });

  it('is the same when it is moved at any tokens, to and fro', async () => {
    await fc.assert(
      fc.asyncProperty(
        plan,
        fc.array(fc.tuple(fc.integer({ min: 0, max: 39 }), plan), { maxLength: 12 }),
        fc.boolean(),
        async (first, moves, drafts) => {
          const engine = new TextEngine(new FakePlaces(BLOCKS));
          const told: number[] = [];
          const { tokens } = await engine.run(
            request({
              plan: first,
              maxTokens: 40,
              proposals: drafts ? lookUp : none,
              onToken: (token) => {
                told.push(token);
                for (const [at, to] of moves) if (at === told.length - 1) ask(engine, to);
                return false;
              },
            }),
          );
          expect(tokens).toEqual(reference(PROMPT, 40));
          expect(told).toEqual(tokens);
          await engine.close();
        },
      ),
      { numRuns: 300 },
    );
  });

  it('moves beside the running text, and tells when', async () => {
    const places = new FakePlaces(BLOCKS);
    const engine = new TextEngine(places);
    const periods: PlanPeriod[] = [];
    let count = 0;
    await engine.run(
      request({
        plan: 'remote',
        maxTokens: 60,
        onPeriod: (period) => periods.push(period),
        onToken: () => {
          count += 1;
          if (count === 5) ask(engine, { cut: 2 });
          if (count === 30) ask(engine, 'local');
          return false;
        },
      }),
    );
    expect(periods.map((period) => period.plan)).toEqual(['remote', 'split@2', 'local']);
    // The first move made the device's state while the endpoint spoke on.
    expect(periods[1]?.fromToken).toBeGreaterThan(5);
  });

  it('loses, repeats and changes nothing when either place fails at any call', async () => {
    await fc.assert(
      fc.asyncProperty(
        plan,
        fc.uniqueArray(fc.integer({ min: 0, max: 60 }), { maxLength: 4 }),
        fc.constantFrom('unknown-session' as const, 'endpoint-lost' as const),
        async (chosen, failing, code) => {
          const places = new FakePlaces(BLOCKS);
          let calls = 0;
          places.onCall = (place) => {
            if (place !== 'endpoint') return;
            calls += 1;
            if (failing.includes(calls)) throw new IsthmusError(code, 'gone');
          };
          const told: number[] = [];
          const { tokens } = await new TextEngine(places).run(
            request({
              plan: chosen,
              onToken: (token) => {
                told.push(token);
                return false;
              },
            }),
          );
          expect(tokens).toEqual(reference(PROMPT, 20));
          expect(told).toEqual(tokens);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('is the same behind a long prompt in pieces, wherever it fails, is aborted and goes on', async () => {
    await fc.assert(
      fc.asyncProperty(
        plan,
        plan,
        fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 65, maxLength: 500 }),
        fc.record({
          place: fc.constantFrom('device' as const, 'endpoint' as const),
          call: fc.integer({ min: 1, max: 24 }),
          code: fc.constantFrom('unknown-session' as const, 'worker-lost' as const, 'aborted' as const),
        }),
        async (chosen, next, tokens, failing) => {
          const places = new FakePlaces(BLOCKS);
          const engine = new TextEngine(places);
          const abort = new AbortController();
          let calls = 0;
          places.onCall = (place) => {
            if (place !== failing.place) return;
            calls += 1;
            if (calls !== failing.call) return;
            if (failing.code === 'aborted') abort.abort();
            else throw new IsthmusError(failing.code, 'gone');
          };
          const long = { tokens, maxTokens: 6, proposals: lookUp };
          const first = engine.run(request({ ...long, plan: chosen, signal: abort.signal }));
          const made = await first.catch((error: unknown) => error);
          if (made instanceof Error) expect(made).toMatchObject({ code: 'aborted' });
          else expect(made).toMatchObject({ tokens: reference(tokens, 6) });
          // The lanes hold what they hold, and another text of the same beginning goes on from there.
          const more = [...tokens.slice(0, -5), 2, 2];
          const { tokens: after } = await engine.run(request({ ...long, tokens: more, plan: next }));
          expect(after).toEqual(reference(more, 6));
          await engine.close();
        },
      ),
      { numRuns: 200 },
    );
  });

  it('is the same when it is moved while its prompt is still on the way', async () => {
    await fc.assert(
      fc.asyncProperty(plan, plan, fc.integer({ min: 1, max: 12 }), async (first, to, call) => {
        const places = new FakePlaces(BLOCKS);
        const engine = new TextEngine(places);
        const tokens = Array.from({ length: 400 }, (_, at) => (at * at) % 7);
        let calls = 0;
        places.onCall = () => {
          calls += 1;
          if (calls === call) ask(engine, to);
        };
        const { tokens: made } = await engine.run(request({ tokens, plan: first, maxTokens: 30 }));
        expect(made).toEqual(reference(tokens, 30));
        await engine.close();
      }),
      { numRuns: 100 },
    );
  });

  it('falls back only to the device when a plan was asked for, and not at all when that is not wanted', async () => {
    const places = new FakePlaces(BLOCKS);
    places.onCall = (place) => {
      if (place === 'endpoint') throw new IsthmusError('endpoint-lost', 'gone');
    };
    const periods: PlanPeriod[] = [];
    await new TextEngine(places).run(
      request({ plan: { cut: 2 }, onPeriod: (period) => periods.push(period) }),
    );
    expect(periods.map((period) => period.plan)).toEqual(['split@2', 'local']);
    expect(periods[1]?.error?.code).toBe('endpoint-lost');
    await expect(
      new TextEngine(places).run(request({ plan: { cut: 2 }, fallback: false })),
    ).rejects.toMatchObject({ code: 'endpoint-lost' });
  });

  it('gives the endpoint no token under a plan with a first block here', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: BLOCKS - 1 }),
        fc.integer({ min: 1, max: BLOCKS }),
        async (cut, more) => {
          const places = new FakePlaces(BLOCKS);
          const until = Math.min(BLOCKS, cut + more);
          await new TextEngine(places).run(request({ plan: { cut, until }, proposals: lookUp }));
          expect(places.leaked).toEqual([]);
        },
      ),
    );
  });

  it('runs only what is new in a second turn', async () => {
    const places = new FakePlaces(BLOCKS);
    const engine = new TextEngine(places);
    const prompt = Array.from({ length: 100 }, (_, index) => index % 7);
    const first = await engine.run(request({ tokens: prompt, plan: 'local' }));
    const before = places.lanes.reduce((sum, { lane }) => sum + lane.rows, 0);
    const next = [...prompt, ...first.tokens, 3, 3, 3];
    const second = await engine.run(request({ tokens: next, plan: 'local' }));
    const rows = places.lanes.reduce((sum, { lane }) => sum + lane.rows, 0) - before;
    expect(second.tokens).toEqual(reference(next, 20));
    expect(second.reused).toBe(119);
    expect(rows).toBe((4 + 19) * BLOCKS);
    // Another beginning is another text.
    const other = [5, ...prompt];
    expect((await engine.run(request({ tokens: other, plan: 'local' }))).tokens).toEqual(
      reference(other, 20),
    );
  });

  it('ends at an end token, when it is told to, and by abort', async () => {
    const engine = new TextEngine(new FakePlaces(BLOCKS));
    const all = reference(PROMPT, 20);
    const end = all[6] ?? 0;
    const short = await engine.run(request({ endTokens: [end], plan: { cut: 2 }, proposals: lookUp }));
    expect(short).toMatchObject({ tokens: all.slice(0, all.indexOf(end)), reason: 'end' });
    for (const chosen of ['local', 'remote', { cut: 3 }] as const) {
      let told = 0;
      const stopped = await engine.run(
        request({
          plan: chosen,
          proposals: lookUp,
          onToken: () => {
            told += 1;
            return told === 4;
          },
        }),
      );
      expect(stopped).toMatchObject({ tokens: all.slice(0, 4), reason: 'stopped' });
      const controller = new AbortController();
      await expect(
        engine.run(
          request({
            plan: chosen,
            signal: controller.signal,
            onToken: () => {
              controller.abort();
              return false;
            },
          }),
        ),
      ).rejects.toMatchObject({ code: 'aborted' });
      // What was aborted leaves nothing wrong behind.
      expect((await engine.run(request({ plan: chosen }))).tokens).toEqual(all);
    }
  });

  it('starts on the endpoint and moves over when the weights are here', async () => {
    const places = new FakePlaces(BLOCKS);
    places.missing = 1e9;
    const engine = new TextEngine(places);
    engine.paces.device.learn({ from: 0, to: BLOCKS }, 1, 5);
    const periods: PlanPeriod[] = [];
    let count = 0;
    const { tokens } = await engine.run(
      request({
        move: true,
        goal: goalOf({ mode: 'prefer-device' }),
        maxTokens: 60,
        onPeriod: (period) => periods.push(period),
        onToken: () => {
          count += 1;
          if (count === 10) {
            places.missing = 0;
            places.change();
          }
          return false;
        },
      }),
    );
    expect(periods.map((period) => period.plan)).toEqual(['remote', 'local']);
    expect(tokens).toEqual(reference(PROMPT, 60));
    expect(nextToken([])).toBeGreaterThanOrEqual(0);
  });

  it('looks for better plans every 32 tokens, and not behind the last one', async () => {
    const looks = async (maxTokens: number): Promise<number> => {
      const engine = new TextEngine(new FakePlaces(BLOCKS));
      let count = 0;
      const trips = () => {
        count += 1;
        return [NO_GUESSES];
      };
      await engine.run(request({ move: true, maxTokens, trips }));
      return count;
    };
    const few = await looks(31);
    expect(await looks(32)).toBe(few);
    expect(await looks(33)).toBeGreaterThan(few);
    expect(await looks(64)).toBe(await looks(63));
  });
});
