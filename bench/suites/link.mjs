/**
 * A language model over a link of 80 ms: how many round trips an answer costs under a cut, with proposals
 * and without, and how soon the second turn of a conversation begins.
 */
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { median } from '../report/statistics.mjs';
import { ms, ratio, table } from '../report/table.mjs';
import { launchProfile } from '../setup/chromium.mjs';
import { startEndpoint } from '../setup/endpoint.mjs';
import { buildLinkPage } from '../setup/link-page.mjs';
import { LINK_PROMPTS, secondTurn, TURN_COPIES } from '../setup/link-prompts.mjs';
import { startRelay } from '../setup/relay.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
const MODEL = 'smollm2-135m-instruct';

const LINK = { rttMs: 80, upBitsPerSecond: 20e6, downBitsPerSecond: 20e6 };

const MAX_TOKENS = 96;
const TURN_TOKENS = 24;

/** A first answer builds sessions and learns the link; its figures are those of nobody's second answer. */
const WARM_TOKENS = 16;

/** What the issue asks for. */
const MOST_TRIPS_PER_TOKEN = 0.5;
const MOST_SLOWER = 1.05;
const MOST_OF_WHOLE_PREFILL = 0.25;

/** @param {{ log: (line: string) => void, options: { rounds: number } }} context */
export async function measureLink({ log, options }) {
  const folder = join(root, '.cache/packages', MODEL);
  if (!existsSync(join(folder, 'manifest.json'))) {
    throw new Error(`no package of ${MODEL} yet: run "npm start" once, which imports it`);
  }
  const manifest = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8'));
  // A third of the model here: what a phone that is slower than the endpoint would hold.
  const plan = { cut: Math.round(manifest.blocks.length / 3) };
  log('link: building the page');
  const page = await buildLinkPage(root);
  const endpoint = await startEndpoint(root, folder, page);
  const relay = await startRelay({ ...LINK, target: Number(new URL(endpoint.url).port) });
  const profileFolder = await mkdtemp(join(tmpdir(), 'isthmus-link-'));
  const profile = await launchProfile(profileFolder);
  const loadBefore = loadavg()[0];
  try {
    const tab = await profile.newPage();
    await tab.goto(`http://127.0.0.1:${relay.port}/`);
    await tab.waitForFunction(() => globalThis.link !== undefined);
    log('link: fetching the weights');
    await tab.evaluate(async (url) => link.open(url), `packages/${MODEL}/`);
    const ask = (question) => tab.evaluate((asked) => link.ask(asked), question);
    await ask({ messages: LINK_PROMPTS.at(-1).messages, plan: 'local', maxTokens: WARM_TOKENS });
    const drafts = await measureDrafts(ask, plan, options.rounds, log);
    const turns = [];
    for (const where of ['local', 'remote']) {
      for (const copies of TURN_COPIES)
        turns.push(await measureTurns(ask, where, copies, options.rounds, log));
    }
    await tab.evaluate(() => link.close());
    const results = {
      model: MODEL,
      link: LINK,
      plan,
      drafts,
      turns,
      load: [loadBefore, loadavg()[0]],
    };
    return { title: `link: ${MODEL}, ${LINK.rttMs} ms`, text: describe(results), results };
  } finally {
    await profile.close();
    await relay.close();
    await endpoint.kill();
    await rm(profileFolder, { recursive: true, force: true });
  }
}

async function measureDrafts(ask, plan, rounds, log) {
  const rows = [];
  await ask({ messages: LINK_PROMPTS[0].messages, plan, maxTokens: WARM_TOKENS });
  for (const { kind, messages } of LINK_PROMPTS) {
    const runs = { auto: [], none: [] };
    for (let round = 0; round < rounds; round += 1) {
      for (const draft of round % 2 === 0 ? ['auto', 'none'] : ['none', 'auto']) {
        const asked = { messages, plan, maxTokens: MAX_TOKENS, draft: draft === 'auto' ? 'auto' : 0 };
        runs[draft].push(await ask(asked));
      }
    }
    const [one] = runs.auto;
    const trips = (of) => of.usage.roundTrips / of.usage.newTokens;
    const pace = (of) => (of.usage.totalMs - of.usage.ttftMs) / Math.max(1, of.usage.newTokens - 1);
    const row = {
      kind,
      newTokens: one.usage.newTokens,
      tripsPerToken: median(runs.auto.map(trips)),
      tripsWithout: median(runs.none.map(trips)),
      acceptance: median(runs.auto.map(({ usage }) => usage.accepted / Math.max(1, usage.drafted))),
      drafted: one.usage.drafted,
      msPerToken: median(runs.auto.map(pace)),
      msWithout: median(runs.none.map(pace)),
      isSame: [...runs.auto, ...runs.none].every(({ tokens }) => tokens.join() === one.tokens.join()),
      text: one.text,
    };
    log(`link: ${kind}: ${row.tripsPerToken.toFixed(2)} round trips a token`);
    rows.push(row);
  }
  return rows;
}

/** The second turn of a conversation, and the same words to a model that has heard nothing yet. */
async function measureTurns(ask, plan, copies, rounds, log) {
  const second = [];
  const whole = [];
  for (let round = 0; round < rounds; round += 1) {
    const { opening, followUp, unheard } = secondTurn(round, copies);
    const first = await ask({ messages: opening, plan, maxTokens: TURN_TOKENS });
    const all = [...opening, { role: 'assistant', content: first.text }, ...followUp];
    second.push((await ask({ messages: all, plan, maxTokens: TURN_TOKENS })).usage);
    whole.push((await ask({ messages: [...unheard, ...all], plan, maxTokens: TURN_TOKENS })).usage);
    log(`link: ${plan}, second turn: ${ms(second.at(-1).ttftMs)} against ${ms(whole.at(-1).ttftMs)} ms`);
  }
  const of = (runs, key) => median(runs.map((usage) => usage[key]));
  return {
    plan,
    promptTokens: of(second, 'promptTokens'),
    reusedTokens: of(second, 'reusedTokens'),
    secondMs: of(second, 'ttftMs'),
    wholeTokens: of(whole, 'promptTokens') - of(whole, 'reusedTokens'),
    wholeMs: of(whole, 'ttftMs'),
  };
}

const verdict = (isMet) => (isMet ? 'yes' : 'no');

function describe({ plan, drafts, turns, load }) {
  const percent = (share) => `${Math.round(share * 100)}%`;
  return [
    table(
      ['answer', 'tokens', 'trips/token', 'without', 'accepted', 'ms/token', 'without', 'ratio', 'same text'],
      drafts.map((row) => [
        row.kind,
        String(row.newTokens),
        row.tripsPerToken.toFixed(2),
        row.tripsWithout.toFixed(2),
        `${percent(row.acceptance)} of ${row.drafted}`,
        ms(row.msPerToken),
        ms(row.msWithout),
        ratio(row.msPerToken / row.msWithout),
        verdict(row.isSame),
      ]),
    ),
    `cut at block ${plan.cut}; at most ${MOST_TRIPS_PER_TOKEN} trips a token where the answer repeats its prompt: ${verdict(
      drafts.every(({ kind, tripsPerToken }) => kind === 'prose' || tripsPerToken <= MOST_TRIPS_PER_TOKEN),
    )}; prose at most ${MOST_SLOWER}x as slow: ${verdict(
      drafts.every((row) => row.kind !== 'prose' || row.msPerToken <= MOST_SLOWER * row.msWithout),
    )}`,
    '',
    table(
      ['second turn', 'prompt', 'kept', 'first token, ms', 'the whole anew, ms', 'ratio'],
      turns.map((row) => [
        row.plan,
        String(row.promptTokens),
        String(row.reusedTokens),
        ms(row.secondMs),
        ms(row.wholeMs),
        ratio(row.secondMs / row.wholeMs),
      ]),
    ),
    `at most ${MOST_OF_WHOLE_PREFILL} of the whole: ${verdict(
      turns.every((row) => row.secondMs <= MOST_OF_WHOLE_PREFILL * row.wholeMs),
    )}`,
    `load: ${load[0].toFixed(2)} before, ${load[1].toFixed(2)} after`,
  ].join('\n');
}
