import { describe, expect, it } from 'vitest';
import { type GoalOptions, goalOf } from '../../../src/planner/objective.ts';
import { betterRoute, chooseRoute, firstRoute, rankRoutes } from '../../../src/session/text/choose-route.ts';
import { TextEngine } from '../../../src/session/text/engine.ts';
import type { TextRequest } from '../../../src/session/text/engine-types.ts';
import { NO_GUESSES } from '../../../src/session/text/guess-book.ts';
import { Pace } from '../../../src/session/text/pace.ts';
import { predictRoute, type Situation } from '../../../src/session/text/predict-route.ts';
import { routeOf } from '../../../src/session/text/route.ts';
import type { TextPlan } from '../../../src/session/text/types.ts';
import { reference } from './fake-lane.ts';
import { FakePlaces, textManifest } from './fake-places.ts';
import { textRequest } from './text-request.ts';

const BLOCKS = 6;
const ALL = { from: 0, to: BLOCKS };
const manifest = textManifest(BLOCKS);

function situation(goal: GoalOptions, msHere = 60, msThere = 20): Situation {
  const paces = { device: new Pace(manifest), endpoint: new Pace(manifest) };
  for (let times = 0; times < 20; times += 1) {
    paces.device.learn(ALL, 1, msHere);
    paces.endpoint.learn(ALL, 1, msThere);
  }
  return {
    manifest,
    paces,
    link: { rttMs: 20, upBytesPerSecond: 1e6, downBytesPerSecond: 1e6, rttSpreadMs: 1, confidence: 1 },
    hasEndpoint: true,
    missingBytes: () => 0,
    buildMs: () => 0,
    canFetch: true,
    lacking: () => 1,
    newTokens: 50,
    trips: [NO_GUESSES],
    goal: goalOf(goal),
  };
}

/** Of which a cut is counted on to bring all. */
const guessed = (drafts: number, rows: number, tokens: number) => ({
  drafts,
  rows,
  tokens,
  sureTokens: tokens,
});

const chosen = (goal: GoalOptions, msHere?: number, msThere?: number) =>
  chooseRoute(situation(goal, msHere, msThere)).best.route.id;

describe('the route of a text', () => {
  it('follows the objective', () => {
    expect(chosen({})).toBe('remote');
    expect(chosen({ objective: 'frugal' })).toBe('local');
    expect(chosen({ mode: 'only-device' })).toBe('local');
    expect(chosen({ mode: 'prefer-device' })).toBe('local');
    // 400 ms a token keeps a reader waiting.
    expect(chosen({ mode: 'prefer-device' }, 400)).toBe('remote');
    expect(chosen({}, 10)).toBe('local');
    expect(chosen({ mode: 'only-cloud' }, 10)).toBe('remote');
    expect(chosen({ mode: 'prefer-cloud' }, 15)).toBe('remote');
  });

  it('has guesses on the trips of a cut, those that bring most', () => {
    // Either place takes 30 ms a token, and a trip 20 more on its way.
    const even = (trips: Situation['trips']) => ({ ...situation({}, 30, 30), trips });
    const cut = (trips: Situation['trips']) =>
      predictRoute(routeOf({ cut: 3 }, BLOCKS), even(trips)).msPerToken;
    const none = cut([NO_GUESSES]);
    const some = guessed(4, 3, 4);
    const many = guessed(16, 16, 4.1);
    const wrong = guessed(8, 8, 1);
    expect(cut([NO_GUESSES, some, many, wrong])).toBe(cut([some]));
    expect(cut([NO_GUESSES, wrong])).toBe(none);
    expect(cut([some])).toBeLessThan(none);
    // Not all that guesses have won is counted on where trips are what they save.
    expect(cut([{ ...some, sureTokens: 3 }])).toBeCloseTo((4 / 3) * cut([some]));
  });

  it('is told with the guesses that a place makes by itself', () => {
    // A row more costs a third of a step.
    const ms = (plan: 'local' | 'remote', trips: Situation['trips']) =>
      predictRoute(routeOf(plan, BLOCKS), { ...situation({}, 60, 30), trips }).msPerToken;
    const some = guessed(4, 3, 4);
    const wrong = guessed(8, 8, 1);
    expect(ms('local', [NO_GUESSES, some, wrong])).toBeCloseTo((60 * (1 + 3 / 3)) / 4);
    expect(ms('remote', [NO_GUESSES, some, wrong])).toBeCloseTo((30 * (1 + 3 / 3)) / 4);
    expect(ms('local', [NO_GUESSES, wrong])).toBeCloseTo(60);
    expect(ms('local', [{ ...some, sureTokens: 1 }])).toBe(ms('local', [some]));
  });

  it('is no cut that promises little more than one place alone', () => {
    // Both read a long prompt at once; each token of the answer has a trip to pay.
    const prompted = (newTokens: number) => ({
      ...situation({}, 30, 30),
      lacking: () => 400,
      newTokens,
    });
    const best = (newTokens: number): { id: string; gain: number } => {
      const all = prompted(newTokens);
      const [first] = rankRoutes(all);
      const alone = rankRoutes(all).find(({ route }) => route.legs.length === 1);
      const gain = 1 - (first?.score ?? 0) / (alone?.score ?? 1);
      return { id: chooseRoute(all).best.route.id, gain };
    };
    for (let tokens = 1; tokens < 100; tokens += 3) {
      const { id, gain } = best(tokens);
      expect(id.startsWith('split'), `${tokens}: ${id}, ${gain}`).toBe(gain >= 0.1);
    }
    const gains = Array.from({ length: 33 }, (_, index) => best(1 + 3 * index).gain);
    // It is a cut that is passed over, not a place alone that is the best.
    const little = gains.findIndex((gain) => gain > 0 && gain < 0.1);
    expect(little).toBeGreaterThan(0);
    expect(chooseRoute(prompted(1 + 3 * little)).reason).toContain('of 7 plans');
  });

  it('says what it is the best of', () => {
    expect(chooseRoute(situation({})).reason).toContain('the least of');
    expect(chooseRoute(situation({ objective: 'frugal' })).reason).toContain('the best by the objective of');
  });

  it('that is private shows the endpoint neither end, and may still use it', () => {
    const slow = situation({ objective: 'private' }, 3000, 20);
    const { best } = chooseRoute(slow);
    expect(best.route.id).toBe('u@1-5');
    expect(best.rejected).toBeUndefined();
    for (const { route, rejected } of rankRoutes(slow)) {
      const isPrivate = route.id === 'local' || route.id.startsWith('u@');
      expect([route.id, rejected === undefined]).toEqual([route.id, isPrivate]);
    }
    expect(chosen({ objective: 'private' }, 30, 20)).toBe('local');
  });

  it('fits the memory that is allowed, and the bytes', () => {
    const { best } = chooseRoute(situation({ mode: 'prefer-device', maxWeightBytes: 2000 }, 10));
    expect(best.route.legs.filter(({ place }) => place === 'device').length).toBeLessThanOrEqual(1);
    expect(chosen({ maxBytesUp: 10 })).toBe('local');
  });

  it('starts elsewhere for the first token only where the user comes first', () => {
    const building = (goal: GoalOptions): Situation => ({ ...situation(goal, 10), buildMs: () => 400 });
    expect(firstRoute(building({})).best.route.id).toBe('remote');
    expect(firstRoute(building({ objective: 'frugal' })).best.route.id).toBe('local');
  });

  it('looks at no route of a device that was never seen to run, where the endpoint can', () => {
    let looks = 0;
    const counted = (more: Partial<Situation>): Situation => ({
      ...situation({}, 10),
      missingBytes: () => {
        looks += 1;
        return 0;
      },
      ...more,
    });
    const paces = { device: new Pace(manifest), endpoint: new Pace(manifest) };
    const { best, reason } = firstRoute(counted({ paces }));
    expect([best.route.id, looks]).toEqual(['remote', 0]);
    expect(reason).toContain('the only plan');
    expect(betterRoute(best.route, counted({ paces }))).toBeUndefined();
    expect(looks).toBe(0);
    // A guess is better than no plan.
    expect(firstRoute(counted({ paces, hasEndpoint: false })).best.route.id).toBe('local');
    looks = 0;
    firstRoute(counted({}));
    expect(looks).toBe(BLOCKS);
  });

  it('counts rows twice that the endpoint lacks behind a cut: they pass the device again', () => {
    const level = situation({});
    const behind = {
      ...level,
      lacking: ({ place }: { readonly place: string }) => (place === 'endpoint' ? 400 : 1),
    };
    const wait = (some: Situation) =>
      rankRoutes(some).find(({ route }) => route.id === 'split@3')?.ttftMs ?? 0;
    const here = level.paces.device.ms({ from: 0, to: 3 }, 400);
    const there = level.paces.endpoint.ms({ from: 3, to: 6 }, 400);
    // Pieces of them overlap: the place that takes longer is waited for whole.
    expect(here).toBeGreaterThan(there);
    expect(wait(behind)).toBeGreaterThan(here);
  });

  it('moves to a faster place that is still to be built, for it is built beside the running text', () => {
    const building: Situation = { ...situation({}, 2), buildMs: () => 60_000 };
    expect(chooseRoute(building).best.route.id).toBe('remote');
    expect(betterRoute(routeOf('remote', BLOCKS), building)?.best.route.id).toBe('local');
  });

  it('names the limit that rules out each when none is left', () => {
    const none = { ...situation({ mode: 'only-device' }), missingBytes: () => 9, canFetch: false };
    expect(() => chooseRoute(none)).toThrowError(
      expect.objectContaining({
        code: 'no-plan',
        details: {
          rejected: expect.objectContaining({
            local: expect.stringContaining('9 bytes of weights'),
            remote: expect.stringContaining('only-device'),
          }),
        },
      }),
    );
  });
});

describe('a plan that was asked for against the goal', () => {
  const request = (goal: GoalOptions, plan: TextPlan, more: Partial<TextRequest> = {}): TextRequest =>
    textRequest({ plan, goal: goalOf(goal), move: true, ...more });

  it('does not run', async () => {
    const places = new FakePlaces(BLOCKS);
    const engine = new TextEngine(places);
    for (const plan of ['remote', { cut: 2 }] as const) {
      await expect(engine.run(request({ objective: 'private' }, plan))).rejects.toMatchObject({
        code: 'no-plan',
      });
    }
    expect(places.leaked).toEqual([]);
    const { tokens } = await engine.run(request({ objective: 'private' }, { cut: 1, until: 4 }));
    expect(tokens).toEqual(reference([1, 2], 10));
  });

  it('is refused before the text begins, which then runs as it may', async () => {
    const places = new FakePlaces(BLOCKS);
    const engine = new TextEngine(places);
    const wish = engine.moveTo('remote').catch((error: unknown) => error);
    const { tokens } = await engine.run(request({ mode: 'only-device' }, 'auto'));
    expect(tokens).toEqual(reference([1, 2], 10));
    expect(await wish).toMatchObject({ code: 'no-plan' });
    expect(places.leaked).toEqual([]);
  });

  it('is not moved to: the wish is refused and the text goes on', async () => {
    const places = new FakePlaces(BLOCKS);
    const engine = new TextEngine(places);
    let refused: Promise<unknown> | undefined;
    const { tokens } = await engine.run(
      request({ mode: 'only-device' }, 'local', {
        onToken: () => {
          refused ??= engine.moveTo('remote').catch((error: unknown) => error);
          return false;
        },
      }),
    );
    expect(tokens).toEqual(reference([1, 2], 10));
    expect(await refused).toMatchObject({ code: 'no-plan' });
    expect(places.leaked).toEqual([]);
  });
});
