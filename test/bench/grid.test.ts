/** What a grid is made of, and what is made of its runs. The bench is plain JavaScript: it is loaded by its address. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const load = (path: string) => import(new URL(`../../bench/${path}`, import.meta.url).href);

const { groupsOf, keyOf, kindOf, only, SUITES, WORKS, LINKS, DEVICES } = await load('grid/dimensions.mjs');
const { judge } = await load('grid/judge.mjs');
const { judgeStep, STEPS } = await load('grid/steps.mjs');
const { barOf } = await load('grid/progress.mjs');
const { offlinePlan } = await load('grid/offline-planner.mjs');
const { openResults } = await load('grid/result-file.mjs');
const { speechRun, textRun } = await load('grid/runs.mjs');

interface Scenario {
  readonly device: string;
  readonly link: string;
  readonly work: string;
  readonly cache: string;
  readonly load: string;
}

describe('the scenarios', () => {
  it.each(['quick', 'full'])('of %s are made of known parts, none twice', (suite) => {
    const scenarios: Scenario[] = SUITES[suite].scenarios();
    expect(new Set(scenarios.map(keyOf)).size).toBe(scenarios.length);
    for (const { device, link, work } of scenarios) {
      expect(Object.keys(DEVICES)).toContain(device);
      expect(Object.keys(LINKS)).toContain(link);
      expect(Object.keys(WORKS)).toContain(work);
    }
  });

  it('of both have each device, link, kind of work, cache and load', () => {
    for (const suite of ['quick', 'full']) {
      const scenarios: Scenario[] = SUITES[suite].scenarios();
      const all = (of: (scenario: Scenario) => string) => [...new Set(scenarios.map(of))].sort();
      expect(all(({ device }) => device)).toEqual(Object.keys(DEVICES).sort());
      expect(all(({ link }) => link)).toEqual(Object.keys(LINKS).sort());
      expect(all(kindOf)).toEqual(['speech', 'text']);
      expect(all(({ cache }) => cache)).toEqual(['cold', 'warm']);
      expect(all(({ load: state }) => state)).toEqual(['idle', 'loaded']);
    }
  });

  it('without a link are warm and idle', () => {
    const offline = SUITES.full.scenarios().filter(({ link }: Scenario) => link === 'offline');
    expect(offline).toHaveLength(Object.keys(DEVICES).length * Object.keys(WORKS).length);
    expect(offline.every((one: Scenario) => one.cache === 'warm' && one.load === 'idle')).toBe(true);
  });

  it('are grouped by what can share a browser, offline last', () => {
    const scenarios: Scenario[] = SUITES.full.scenarios();
    const groups: Scenario[][] = groupsOf(scenarios);
    expect(groups.flat()).toHaveLength(scenarios.length);
    for (const group of groups) {
      expect(new Set(group.map((one) => `${one.device} ${one.cache} ${kindOf(one)}`)).size).toBe(1);
      const first = group.findIndex(({ link }) => link === 'offline');
      if (first >= 0) expect(group.slice(first).every(({ link }) => link === 'offline')).toBe(true);
    }
  });

  it('are chosen by their parts', () => {
    const scenarios: Scenario[] = SUITES.full.scenarios();
    expect(only(scenarios, undefined)).toHaveLength(scenarios.length);
    const some: Scenario[] = only(scenarios, 'text, half a core,3g,cold');
    expect(some).toHaveLength(8);
    expect(only(scenarios, '5g')).toHaveLength(0);
  });
});

const run = (plan: string, totalMs: number, other: object = {}) => ({
  plan,
  totalMs,
  ttftMs: totalMs / 2,
  bytesUp: 10,
  bytesDown: 20,
  roundTrips: 1,
  predictedMs: totalMs,
  isHedged: false,
  clientCpuMs: 30,
  endpointCpuMs: 40,
  ...other,
});

describe('the line of a scenario', () => {
  const offers = [
    { id: 'local', runs: [run('local', 100), run('local', 120)], autos: [run('remote', 500)] },
    { id: 'remote', runs: [run('remote', 80), run('remote', 90)], autos: [run('remote', 102)] },
    { id: 'split@4', isMiddle: true, runs: [], atLeastMs: 900, autos: [run('remote', 700)] },
  ];

  it('compares with the best plan, by those runs that alternated with its own', () => {
    const result = judge({ scenario: {}, about: { x: 1 }, offers, offlinePlanId: 'local' });
    expect(result.oracle).toEqual({ plan: 'remote', ms: 85 });
    expect(result.regret).toBeCloseTo(0.2);
    expect(result).toMatchObject({ x: 1, plan: 'remote', allLocalMs: 110, allRemoteMs: 85, clientCpuMs: 30 });
    expect(result.peers.neurosurgeon).toEqual({ plan: 'local', ms: 110 });
  });

  it('takes a plan that was stopped for no time, and says how long it was waited for', () => {
    const result = judge({ scenario: {}, about: {}, offers });
    expect(result.fixedMiddleMs).toBeNull();
    expect(result.forced[2]).toEqual({ plan: 'split@4', ms: null, atLeastMs: 900 });
  });

  it('is its own oracle when it was faster than all that was forced', () => {
    const quick = [{ id: 'local', runs: [run('local', 100)], autos: [run('split@2/fp32', 60)] }];
    const result = judge({ scenario: {}, about: {}, offers: quick });
    expect(result.oracle).toEqual({ plan: 'split@2/fp32', ms: 60 });
    expect(result.regret).toBe(0);
  });

  it('tells what choosing costs within one session, and what plans cost within the other', () => {
    const offer = [
      { id: 'local', runs: [run('local', 100)], autos: [run('local', 150)] },
      { id: 'remote', runs: [run('remote', 80)], autos: [run('local', 150)] },
    ];
    const own = { id: 'local', autos: [run('local', 153)], tolds: [run('local', 150)] };
    const result = judge({ scenario: {}, about: {}, offers: offer, own });
    expect(result.ms.total).toBeCloseTo(102);
    expect(result.oracle).toEqual({ plan: 'remote', ms: 80 });
    expect(result.regret).toBeCloseTo(102 / 80 - 1);
    expect(result.choiceRegret).toBeCloseTo(0.25);
    expect(result.choosing).toEqual({ ratio: 1.02, autoMs: [153], toldMs: [150] });
  });

  it('compares the planner with itself run by run, so that a machine that slows down is in neither', () => {
    const offer = [{ id: 'local', runs: [run('local', 100)], autos: [run('local', 100)] }];
    const tolds = [100, 200, 400, 500].map((ms) => run('local', ms));
    const autos = [110, 220, 440, 5000].map((ms) => run('local', ms));
    const result = judge({ scenario: {}, about: {}, offers: offer, own: { id: 'local', autos, tolds } });
    expect(result.choosing?.ratio).toBeCloseTo(1.1);
  });

  it('counts each choice of several, and none of a plan that was not forced', () => {
    const mixed = [{ id: 'local', runs: [run('local', 100)], autos: [run('local', 1), run('remote', 1)] }];
    const both = [...mixed, { id: 'remote', runs: [run('remote', 140)], autos: [] }];
    expect(judge({ scenario: {}, about: {}, offers: both }).choiceRegret).toBeCloseTo(0.2);
    expect(judge({ scenario: {}, about: {}, offers: mixed }).choiceRegret).toBeNull();
  });

  it('says what is lacking rather than leave it out', () => {
    const lacking = { predictedMs: undefined, endpointCpuMs: undefined, tokensPerSecond: undefined };
    const bare = [{ id: 'local', runs: [run('local', 9, lacking)], autos: [run('local', 9, lacking)] }];
    const result = judge({ scenario: {}, about: {}, offers: bare });
    expect(result).toMatchObject({ predictedMs: null, endpointCpuMs: null, tokensPerSecond: null });
    expect(result.allRemoteMs).toBeNull();
  });
});

describe('a request in figures', () => {
  const report = {
    plan: { id: 'remote', prediction: { totalMs: 70 } },
    totalMs: 100,
    ttftMs: 50,
    bytesUp: 1,
    bytesDown: 2,
    roundTrips: 1,
  };

  it('has a pace where more than one token came', () => {
    expect(speechRun({ tokens: [1, 2, 3], report }).tokensPerSecond).toBe(40);
    expect(speechRun({ tokens: [1], report })).not.toHaveProperty('tokensPerSecond');
  });

  it('of a text has the plans one after another, and a prediction where one was told', () => {
    const usage = { totalMs: 9, ttftMs: 3, tokensPerSecond: 5, bytesUp: 1, bytesDown: 2, roundTrips: 1 };
    const told = { plan: 'remote', reason: 'predicted 12 ms, the least of 31 plans' };
    const moved = { plan: 'local', reason: 'predicted 5 ms, the least of 31 plans' };
    expect(textRun({ usage, plans: [told, moved] })).toMatchObject({
      plan: 'remote then local',
      predictedMs: 12,
    });
    const untold = { plan: 'remote', reason: 'speaks in 3 ms where local takes 400' };
    expect(textRun({ usage, plans: [untold] })).not.toHaveProperty('predictedMs');
  });
});

describe('a planner that is told the rates alone', () => {
  const plan = (id: string, deviceMs: number, endpointMs: number, bytesUp: number) => ({
    id,
    kind: id.split('@')[0],
    cut: 4,
    codec: 'fp32',
    prediction: { deviceMs, endpointMs, bytesUp, bytesDown: 0, linkMs: 10_000 },
  });
  const plans = [plan('local', 300, 0, 0), plan('remote', 0, 100, 50_000), plan('split@4', 90, 60, 20_000)];

  it('weighs times against bytes', () => {
    expect(offlinePlan(plans, { up: 100, down: 100 })).toEqual({ id: 'remote', choice: 'remote' });
    expect(offlinePlan(plans, { up: 2, down: 2 })).toEqual({
      id: 'split@4',
      choice: { cut: 4, codec: 'fp32' },
    });
    expect(offlinePlan(plans, { up: 0.1, down: 2 }).id).toBe('local');
  });
});

describe('a step', () => {
  const requests = (...plans: string[]) => plans.map((plan) => ({ plan, totalMs: 110, isHedged: false }));
  const measured = new Map([
    ['local', 100],
    ['split@1/fp32', 104],
    ['remote', 300],
  ]);

  it('is over with the last request on a plan that is not among the best', () => {
    const { oracle, backAfter } = judgeStep(requests('remote', 'local', 'remote', 'split@1/fp32'), measured);
    expect(oracle).toEqual({ plan: 'local', ms: 100 });
    expect(backAfter).toBe(3);
    expect(judgeStep(requests('local', 'local'), measured).backAfter).toBe(0);
    expect(judgeStep(requests('local', 'remote'), measured).backAfter).toBeNull();
  });

  it('does not take a plan that nobody measured for a good one', () => {
    expect(judgeStep(requests('split@9/fp32'), measured).backAfter).toBeNull();
  });

  it('changes one thing', () => {
    expect(new Set(STEPS.map(({ of }: { of: string }) => of))).toEqual(
      new Set(['bandwidth', 'RTT', 'device', 'load']),
    );
  });
});

describe('progress', () => {
  it('tells the time that is left from what the past took', () => {
    expect(barOf(0, 5000)).toBe('[------------------------]   0%');
    expect(barOf(0.25, 60_000)).toBe('[######------------------]  25%, about 3 min left');
    expect(barOf(0.5, 20_000)).toContain('about 20 s left');
    expect(barOf(0.5, 9_000_000)).toContain('about 2 h 30 min left');
  });
});

describe('a file of results', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'isthmus-grid-'));
  });
  afterAll(() => rm(folder, { recursive: true }));
  const scenario = { device: '1 thread', link: 'lan', work: '4 s', cache: 'warm', load: 'idle' };

  it('is taken up where it ended, though the last line is half of one', async () => {
    const path = join(folder, 'lines.jsonl');
    await writeFile(
      path,
      `${JSON.stringify({ absent: { device: 'x' } })}\n${JSON.stringify({ scenario })}\n{"scen`,
    );
    const results = await openResults(path);
    // Fields in another order are the same scenario.
    expect(results.has(Object.fromEntries(Object.entries(scenario).reverse()))).toBe(true);
    expect(results.has({ ...scenario, link: '3g' })).toBe(false);
    await results.add({ scenario: { ...scenario, link: '3g' } });
    const lines = (await readFile(path, 'utf8')).trim().split('\n');
    expect(lines.map((line) => Object.keys(JSON.parse(line))[0])).toEqual(['absent', 'scenario', 'scenario']);
    expect(results.all()).toHaveLength(2);
  });

  it('need not be there', async () => {
    const results = await openResults(undefined);
    await results.add({ scenario });
    expect(results.has(scenario)).toBe(true);
  });
});
