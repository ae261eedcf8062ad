/** What a grid is made of, and the scenarios of each suite. Pure. */

/** Round trip in ms, Mbit/s down and up; nothing: the link is cut once the weights are here. */
export const LINKS = {
  lan: { rttMs: 2, down: 100, up: 100 },
  wifi: { rttMs: 20, down: 30, up: 30 },
  '4g': { rttMs: 50, down: 10, up: 5 },
  '3g': { rttMs: 150, down: 1.6, up: 0.75 },
  offline: undefined,
};

/** `cores`: what the whole browser may use of the processor; absent: all. */
export const DEVICES = {
  '2 threads': { threads: 2 },
  '1 thread': { threads: 1 },
  'half a core': { threads: 1, cores: 0.5 },
};

/** Speech: of the recording nearest in length. Text: tokens of the prompt, and new ones. */
export const WORKS = {
  '1.4 s': { kind: 'speech', seconds: 1.4 },
  '4 s': { kind: 'speech', seconds: 4 },
  '7 s': { kind: 'speech', seconds: 7 },
  '32+32 tokens': { kind: 'text', prompt: 32, tokens: 32 },
  '32+128 tokens': { kind: 'text', prompt: 32, tokens: 128 },
  '256+32 tokens': { kind: 'text', prompt: 256, tokens: 32 },
  '256+128 tokens': { kind: 'text', prompt: 256, tokens: 128 },
};

const WARM = { cache: 'warm', load: 'idle' };

/** Of everything a little, within minutes: each device on a near and a far link, and one of each other state. */
const QUICK = [
  ...['wifi', '3g'].map((link) => ({ device: 'half a core', link, work: '4 s', ...WARM })),
  ...['4g', 'offline'].map((link) => ({ device: '1 thread', link, work: '4 s', ...WARM })),
  ...['lan', '3g'].map((link) => ({ device: '1 thread', link, work: '1.4 s', ...WARM })),
  { device: '2 threads', link: '4g', work: '32+32 tokens', ...WARM },
  { device: '2 threads', link: 'wifi', work: '1.4 s', ...WARM, cache: 'cold' },
  { device: '2 threads', link: 'wifi', work: '4 s', ...WARM, load: 'loaded' },
  ...['lan', '4g', '3g'].map((link) => ({ device: '2 threads', link, work: '4 s', ...WARM })),
];

/**
 * Every combination that can be: without a link there is no first visit, and no endpoint whose load would matter.
 * The states that most requests meet come first, so that a run that is broken off has them.
 */
function full() {
  const states = [
    WARM,
    { cache: 'warm', load: 'loaded' },
    { cache: 'cold', load: 'idle' },
    { cache: 'cold', load: 'loaded' },
  ];
  const all = [];
  for (const state of states) {
    for (const device of Object.keys(DEVICES)) {
      for (const link of Object.keys(LINKS)) {
        if (LINKS[link] === undefined && state !== WARM) continue;
        for (const work of Object.keys(WORKS)) all.push({ device, link, work, ...state });
      }
    }
  }
  return all;
}

/**
 * `runs`: of each plan at least, `runsMs`: for so long where they are short. `ownMs`: for so long is the
 * planner's plan compared with itself where that is not sure sooner, and for `undecidedMs` where it is not told by then on
 * which side of what is aimed at it is (of first visits, behind the usual number). `hasAllCuts`: not the middle one alone (each is two sessions to build, and of the
 * full grid's 153 speech scenarios none had a cut for its best plan). `visitMs`: what a first visit under a forced plan is
 * waited for at least. `limitMs`: no scenario begins behind it.
 */
export const SUITES = {
  quick: {
    scenarios: () => QUICK,
    runs: 2,
    runsMs: 500,
    ownMs: 1500,
    undecidedMs: 0,
    hasAllCuts: false,
    visitMs: 5000,
    limitMs: 275_000,
    hasRivals: false,
  },
  full: {
    scenarios: full,
    runs: 5,
    runsMs: 800,
    ownMs: 10_000,
    undecidedMs: 45_000,
    hasAllCuts: true,
    visitMs: 5000,
    limitMs: Infinity,
    hasRivals: true,
  },
};

export const kindOf = ({ work }) => WORKS[work].kind;

/** Always in one order of fields: it tells scenarios apart. */
export const keyOf = ({ device, link, work, cache, load }) =>
  JSON.stringify({ device, link, work, cache, load });

/** @param {string | undefined} words parts of a scenario, apart by commas: those scenarios that have all of them */
export function only(scenarios, words) {
  const wanted = (words ?? '').split(',').map((word) => word.trim());
  return scenarios.filter((scenario) =>
    wanted.every(
      (word) => word === '' || Object.values(scenario).includes(word) || kindOf(scenario) === word,
    ),
  );
}

/** Of results those whose scenarios have all of the words. */
export function resultsOf(results, words) {
  return results.filter(({ scenario }) => only([scenario], words).length > 0);
}

/** Scenarios that can share a browser and its sessions, in the order in which they first come; offline is last in each. */
export function groupsOf(scenarios) {
  const groups = new Map();
  for (const scenario of scenarios) {
    const { device, cache } = scenario;
    const key = JSON.stringify([device, cache, kindOf(scenario), cache === 'warm' ? '' : scenario.load]);
    groups.set(key, [...(groups.get(key) ?? []), scenario]);
  }
  const isOffline = ({ link }) => Number(LINKS[link] === undefined);
  return [...groups.values()].map((group) => group.toSorted((a, b) => isOffline(a) - isOffline(b)));
}

export function bitsOf(link) {
  const { rttMs, up, down } = LINKS[link];
  return { rttMs, upBitsPerSecond: up * 1e6, downBitsPerSecond: down * 1e6 };
}
