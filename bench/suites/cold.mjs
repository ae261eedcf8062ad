/**
 * A first visit over a slow link: how soon the first token comes, how the device takes over when the
 * weights are here, and whether the answer goes on without the endpoint.
 */
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { median, quantile } from '../report/statistics.mjs';
import { bytes, ms, ratio, table } from '../report/table.mjs';
import { launchProfile } from '../setup/chromium.mjs';
import { buildColdPage } from '../setup/cold-page.mjs';
import { startEndpoint } from '../setup/endpoint.mjs';
import { onCores, twoMachines } from '../setup/on-core.mjs';
import { FIRST_VISIT_LINK as LINK, portOf, startRelay } from '../setup/relay.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
const MODEL = 'smollm2-135m-instruct';

const PROMPT_TOKENS = 64;

/** More than the endpoint makes while the weights come. */
const MAX_TOKENS = 5000;
const ALONE = { afterTokens: 20, tokens: 50 };
const WARM_TOKENS = 40;

/** Tokens on either side of the take-over whose gaps count as its own. */
const AROUND = 20;

/** One visit at most; the weights alone take a minute. */
const LIMIT_MS = 180_000;

/** What the issue asks for. */
const MAX_TTFT_RATIO = 2;
const MAX_GAP_RATIO = 2;

/** @param {{ log: (line: string) => void }} context */
export async function measureCold({ log }) {
  const folder = join(root, '.cache/packages', MODEL);
  if (!existsSync(join(folder, 'manifest.json'))) {
    throw new Error(`no package of ${MODEL} yet: run "npm start" once, which imports it`);
  }
  const manifest = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8'));
  log('cold: building the page');
  const page = await buildColdPage(root);
  const machines = await twoMachines();
  const serve = () => onCores(machines?.endpoint, () => startEndpoint(root, folder, page));
  let endpoint = await serve();
  const relay = await startRelay({ ...LINK, target: portOf(endpoint) });
  const profileFolder = await mkdtemp(join(tmpdir(), 'isthmus-cold-'));
  const profile = await onCores(machines?.device, () => launchProfile(profileFolder));
  const loadBefore = loadavg()[0];
  try {
    await profile.exposeFunction('leaveAlone', () => endpoint.kill());
    const visit = async (options) => {
      const tab = await profile.newPage();
      try {
        await tab.goto(`http://127.0.0.1:${relay.port}/`);
        await tab.waitForFunction(() => globalThis.cold !== undefined);
        return await tab.evaluate((asked) => cold.visit(asked), {
          packageUrl: `packages/${MODEL}/`,
          limitMs: LIMIT_MS,
          ...options,
        });
      } finally {
        await tab.close();
      }
    };
    const promptOf = (seed) => prompt(seed, manifest.stages[0].vocabulary);
    log('cold: an endpoint that has served others');
    await season(endpoint, promptOf(0));
    log('cold: the first visit');
    const before = relay.bytes();
    const first = await visit({
      prompt: promptOf(1),
      maxTokens: MAX_TOKENS,
      plan: 'auto',
      mode: 'prefer-device',
      alone: ALONE,
    });
    const down = relay.bytes().down - before.down;
    const downAt = (at) => relay.bytes(first.timeOrigin + at).down - before.down;
    const traffic = {
      atFirstToken: downAt(first.tokensAt[0] ?? 0),
      atOpen: downAt(first.openAt),
      whole: down,
    };
    await endpoint.kill();
    endpoint = await serve();
    relay.aim(portOf(endpoint));
    await season(endpoint, promptOf(0));
    const warm = [];
    for (const seed of [2, 3]) {
      log('cold: a later visit');
      const asked = { prompt: promptOf(seed), maxTokens: WARM_TOKENS, plan: 'remote', mode: 'auto' };
      const from = relay.bytes().down;
      warm.push({ ...(await visit(asked)), bytesDown: relay.bytes().down - from });
    }
    const figures = judge(first, warm, traffic);
    const results = {
      model: MODEL,
      link: LINK,
      load: { before: loadBefore, after: loadavg()[0] },
      machines,
      ...figures,
    };
    return {
      title: `cold: ${MODEL}, first visit at ${LINK.downBitsPerSecond / 1e6} Mbit/s and ${LINK.rttMs} ms`,
      text: describe(results),
      results: { ...results, visits: { first, warm } },
    };
  } finally {
    await profile.close();
    await relay.close();
    await endpoint.kill();
    await rm(profileFolder, { recursive: true, force: true });
  }
}

/** Another visitor, whom the link does not slow: the endpoint's sessions stand when the measured one comes. */
async function season(endpoint, tokens) {
  const folder = await mkdtemp(join(tmpdir(), 'isthmus-other-'));
  const other = await launchProfile(folder);
  try {
    const tab = await other.newPage();
    await tab.goto(endpoint.url);
    await tab.waitForFunction(() => globalThis.cold !== undefined);
    await tab.evaluate((asked) => cold.visit(asked), {
      packageUrl: `packages/${MODEL}/`,
      prompt: tokens,
      maxTokens: WARM_TOKENS,
      plan: 'remote',
      mode: 'auto',
      prefetch: false,
      limitMs: LIMIT_MS,
    });
  } finally {
    await other.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Times do not depend on what tokens mean; prompts differ from the first token on, so that no state is reused. */
function prompt(seed, vocabulary) {
  return Array.from({ length: PROMPT_TOKENS }, (_, index) => (seed * 7919 + index * 104_729) % vocabulary);
}

const ttftOf = ({ createdAt, askedAt, openAt, tokensAt }) => ({
  openMs: openAt - createdAt,
  fromCreate: (tokensAt[0] ?? Infinity) - createdAt,
  fromCall: (tokensAt[0] ?? Infinity) - askedAt,
  fromNavigation: tokensAt[0] ?? Infinity,
});

function judge(first, warmVisits, traffic) {
  const cold = ttftOf(first);
  const all = warmVisits.map(ttftOf);
  const warm = all.at(-1);
  const times = first.shownAt;
  const gapsOf = (moments) => moments.slice(1).map((at, index) => at - moments[index]);
  const gaps = gapsOf(times);
  // Gap `i` is that before token `i + 1`.
  const move = first.periods.findIndex(({ plan }, index) => index > 0 && plan === 'local');
  const period = first.periods[move];
  const at = period?.fromToken;
  const around = at === undefined ? [] : gaps.slice(Math.max(0, at - AROUND - 1), at + AROUND - 1);
  const known = (values, of) => (values.length === 0 ? undefined : of(values));
  const greatest = (values) => known(values, (some) => Math.max(...some));
  const typical = (values) => known(values, median);
  const byPlan =
    at === undefined ? { before: gaps, after: [] } : { before: gaps.slice(0, at - 1), after: gaps.slice(at) };
  const overall = typical(gaps);
  return {
    ttft: {
      cold,
      warm,
      warmFirst: all[0],
      ratioFromCall: cold.fromCall / warm.fromCall,
      ratioFromCreate: cold.fromCreate / warm.fromCreate,
    },
    takeover: {
      happened: at !== undefined,
      tokensBefore: at ?? times.length,
      atMs: period === undefined ? undefined : period.at - first.askedAt,
      switchMs: at === undefined ? undefined : gaps[at - 1],
      // As tokens came, before the pause was spread.
      switchKnownMs: at === undefined ? undefined : gapsOf(first.tokensAt)[at - 1],
      longestHoldMs: greatest(times.map((shown, index) => shown - first.tokensAt[index])),
      medianGapAround: typical(around),
      longestGapAround: greatest(around),
      ratioAround: around.length === 0 ? undefined : Math.max(...around) / median(around),
      ratioToOverall: around.length === 0 ? undefined : Math.max(...around) / overall,
      medianGapBefore: typical(byPlan.before),
      p99GapBefore: known(byPlan.before, (some) => quantile(some, 0.99)),
      longestGapBefore: greatest(byPlan.before),
      medianGapAfter: typical(byPlan.after),
      longestGapAfter: greatest(byPlan.after),
      medianGap: overall,
      longestGap: greatest(gaps),
    },
    alone: {
      happened: first.tokensWhenAlone !== undefined,
      tokensAfter: first.tokensWhenAlone === undefined ? 0 : times.length - first.tokensWhenAlone,
      endedBy: first.endedBy,
    },
    bytesDown: traffic,
    periods: first.periods,
    warmBytesDown: warmVisits.map(({ bytesDown }) => bytesDown),
    weightsHereMs: first.weights.find(({ done, total }) => done >= total)?.at - first.askedAt,
  };
}

const shown = (value, form = ms) => (value === undefined || !Number.isFinite(value) ? '–' : form(value));
const verdict = (value, most) => (value !== undefined && value <= most ? 'yes' : 'no');

function describe({
  ttft,
  takeover,
  alone,
  bytesDown,
  warmBytesDown,
  periods,
  weightsHereMs,
  load,
  machines,
}) {
  const row = (name, of) => [
    name,
    shown(of.openMs),
    shown(of.fromCall),
    shown(of.fromCreate),
    shown(of.fromNavigation),
  ];
  return [
    table(
      ['first token, ms', 'open', "from runText's call", "from createSession's start", 'from navigation'],
      [
        row('first visit', ttft.cold),
        row('second visit', ttft.warmFirst),
        row('third visit, remote', ttft.warm),
        ['ratio', '–', ratio(ttft.ratioFromCall), ratio(ttft.ratioFromCreate), '–'],
      ],
    ),
    `at most ${MAX_TTFT_RATIO}x a warm remote: from the call ${verdict(ttft.ratioFromCall, MAX_TTFT_RATIO)}, from the start ${verdict(ttft.ratioFromCreate, MAX_TTFT_RATIO)}`,
    '',
    table(
      ['gaps between tokens, ms', 'median', 'longest'],
      [
        ['before the take-over', shown(takeover.medianGapBefore), shown(takeover.longestGapBefore)],
        [`${2 * AROUND} tokens round it`, shown(takeover.medianGapAround), shown(takeover.longestGapAround)],
        ['after it', shown(takeover.medianGapAfter), shown(takeover.longestGapAfter)],
        ['the whole answer', shown(takeover.medianGap), shown(takeover.longestGap)],
      ],
    ),
    `the switch itself: ${shown(takeover.switchMs)} ms (${shown(takeover.switchKnownMs)} before it was spread, tokens held ${shown(takeover.longestHoldMs)} at most); longest round it is ${shown(takeover.ratioAround, ratio)} of the median there, ${shown(takeover.ratioToOverall, ratio)} of the whole answer's; at most ${MAX_GAP_RATIO}x: ${verdict(takeover.ratioAround, MAX_GAP_RATIO)}`,
    `weights here ${shown(weightsHereMs)} ms and take-over ${shown(takeover.atMs)} ms from the call, behind ${takeover.tokensBefore} tokens`,
    `tokens after the endpoint's end: ${alone.tokensAfter} (ended by: ${alone.endedBy})`,
    `bytes down: ${bytes(bytesDown.atOpen)} at open, ${bytes(bytesDown.atFirstToken)} at the first token, ${bytes(bytesDown.whole)} in all; ${warmBytesDown.map(bytes).join(' and ')} on later visits`,
    ...periods.map(
      ({ at, plan, fromToken, reason }) => `  ${ms(at)} ms: ${plan} from token ${fromToken}: ${reason}`,
    ),
    machines === undefined
      ? 'device and endpoint share all cores'
      : `device on core ${machines.device.join(', ')}, endpoint on core ${machines.endpoint.join(', ')}`,
    `load: ${load.before.toFixed(2)} before, ${load.after.toFixed(2)} after`,
  ].join('\n');
}
