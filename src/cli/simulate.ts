/** `isthmus simulate`: how well the planner chooses, over made-up worlds around a real package. */
import { CODECS, type Codec } from '../core/span.ts';
import { IsthmusError } from '../errors.ts';
import type { Manifest } from '../package/manifest.ts';
import { openPackage } from '../package/node/open-package.ts';
import type { Workload } from '../planner/types.ts';
import { usualWorkload } from '../session/planning.ts';
import { textStage } from '../session/text/route.ts';
import { type Episode, playWorld } from '../simulation/run.ts';
import { type Summary, summarise } from '../simulation/summary.ts';
import { makeWorld } from '../simulation/world.ts';
import type { Command } from './command.ts';
import { onePositional, optionalNumber, parseFlags, UsageError } from './flags.ts';
import { table } from './inspect-table.ts';
import { percent } from './percent.ts';
import { simulateDecisions } from './simulate-decisions.ts';
import { DEFAULT_DEVICES, simulateFleet } from './simulate-fleet.ts';
import { DEFAULT_ENDPOINT_MS, simulateMap } from './simulate-map.ts';
import { DEFAULT_TEXT_WORLDS, simulateText } from './simulate-text.ts';

const DEFAULT_WORLDS = 1000;
const DEFAULT_REQUESTS = 40;

/** Each keeps a few numbers per request and agent: a million requests are some hundred megabytes. */
const MAX_REQUESTS_IN_ALL = 1_000_000;

/** Ms: a tenth of what a fast server takes to a hundred times what a slow one does. */
const ENDPOINT_MS = { min: 1, max: 100_000 };

const COUNTS = { min: 1, max: MAX_REQUESTS_IN_ALL };
/** Seeds are words of 32 bits. */
const SEEDS = { min: 0, max: 2 ** 32 - 1 };

/** Worlds, some 5 s of them, after which progress is told. */
const TOLD_WORLDS = 250;

/** Requests of a package that names no rate of its own: rows. */
const PLAIN_UNITS = { low: 16, high: 256 };
const PLAIN_TOKENS_PER_UNIT = 0.25;

/** Seconds of the shortest and the longest recording, and words' tokens a second. */
const SPEECH_SECONDS = { low: 1, high: 7 };
const TOKENS_PER_SECOND = 3;

const HELP = `Plays requests through made-up worlds with the planner's own code, and with others in its place.

Usage: isthmus simulate PKG [OPTIONS]

  --worlds N     worlds: a device, an endpoint and a link each, most of them changing half way (default ${DEFAULT_WORLDS};
                 ${DEFAULT_TEXT_WORLDS} for a language model)
  --requests N   requests in each (default ${DEFAULT_REQUESTS})
  --seed N       of the first world (default 1); the same seed gives the same figures
  --fleet        instead: the first request of each of many new devices, with and without what those before it
                 reported under local differential privacy
  --devices N    with --fleet: devices, one after another (default ${DEFAULT_DEVICES})
  --map          instead: where a cut beats both pure plans, over devices, round trips, rates and room for weights
  --endpoint-ms N  with --map: what the endpoint takes for a request of middling length (default ${DEFAULT_ENDPOINT_MS})
  --codec NAME   with --map: what may cross beside fp32: ${CODECS.filter((name) => name !== 'fp32').join(' or ')} (default: nothing)
  --decisions    instead: ms that a decision takes at 64 blocks, and how far forecasts one request ahead are off, over
                 traces with steps, drifts, bursts and outages, against "the same as last time"
  --json         one JSON document: {"worlds", "requests", "agents": [{"agent", "meanRegret", "p95Regret", ...}]}
  --help         show this

Regret is the share by which a request took longer than the best plan would have, noise left out. "static best"
knows in hindsight which one plan is best for a whole world; nobody can choose it beforehand. "two plans" is the
share of requests under which a second plan began, "extra" what plans that were stopped worked, against all others.

A language model's requests are turns of conversations: prompts of 32 to 1,000 tokens, 16 to 256 new ones, in half of
the turns behind the ones before. Their oracle knows the truth and tries each route, each cut with its best draft
length, and moves while weights come, from what any of the players holds. "first" is the regret of first requests,
"first visit" that of the first four where no weights are here yet.

Example:
  isthmus simulate ./package --worlds 250
  isthmus simulate ./package --fleet
  isthmus simulate ./package --decisions --json
  isthmus simulate ./package --map --codec int8
`;

export const simulateCommand: Command = {
  name: 'simulate',
  summary: 'measure how well the planner chooses, over simulated devices and links',
  help: HELP,
  run: async (args, io) => {
    const { values, positionals } = parseFlags(args, {
      worlds: { type: 'string' },
      requests: { type: 'string' },
      seed: { type: 'string' },
      fleet: { type: 'boolean' },
      devices: { type: 'string' },
      map: { type: 'boolean' },
      'endpoint-ms': { type: 'string' },
      codec: { type: 'string' },
      decisions: { type: 'boolean' },
      json: { type: 'boolean' },
    });
    const { manifest } = await openPackage(onePositional(positionals, 'package'));
    const firstSeed = optionalNumber('seed', values.seed, SEEDS) ?? 1;
    if (manifest.stages[0]?.kind !== 'once') {
      textStage(manifest);
      const others = ['fleet', 'devices', 'map', 'endpoint-ms', 'codec', 'decisions'] as const;
      const odd = others.find((name) => values[name] !== undefined);
      if (odd !== undefined)
        throw new UsageError(`--${odd} is for models with an input stage, such as speech`);
      const worlds = optionalNumber('worlds', values.worlds, COUNTS) ?? DEFAULT_TEXT_WORLDS;
      const requests = optionalNumber('requests', values.requests, COUNTS) ?? DEFAULT_REQUESTS;
      checkAmount(worlds, requests);
      simulateText({ manifest, worlds, requests, firstSeed }, values.json === true, io);
      return 0;
    }
    const work = workOf(manifest);
    const asJson = values.json === true;
    const endpointMs = optionalNumber('endpoint-ms', values['endpoint-ms'], ENDPOINT_MS);
    const { codec } = values;
    if (values.map === true) {
      const others = [values.fleet, values.worlds, values.requests, values.devices, values.seed];
      if (others.some((value) => value !== undefined)) {
        throw new UsageError('--map goes with --endpoint-ms, --codec and --json alone');
      }
      const workload = middling(manifest, work);
      const codecs = codecsOf(codec);
      const options = { manifest, workload, endpointMs: endpointMs ?? DEFAULT_ENDPOINT_MS, codecs };
      simulateMap(options, asJson, io);
      return 0;
    }
    if (endpointMs !== undefined || codec !== undefined) {
      throw new UsageError('--endpoint-ms and --codec go with --map');
    }
    if (values.decisions === true) {
      const others = [values.fleet, values.worlds, values.requests, values.devices];
      if (others.some((value) => value !== undefined)) {
        throw new UsageError('--decisions goes with --seed and --json alone');
      }
      simulateDecisions({ manifest, workload: middling(manifest, work), seed: firstSeed }, asJson, io);
      return 0;
    }
    const devices = optionalNumber('devices', values.devices, COUNTS);
    if (values.fleet === true) {
      if (values.worlds !== undefined || values.requests !== undefined) {
        throw new UsageError('--fleet has --devices instead of --worlds and --requests');
      }
      simulateFleet({ ...work, manifest, devices: devices ?? DEFAULT_DEVICES, seed: firstSeed }, asJson, io);
      return 0;
    }
    if (devices !== undefined) throw new UsageError('--devices goes with --fleet');
    const worlds = optionalNumber('worlds', values.worlds, COUNTS) ?? DEFAULT_WORLDS;
    const requests = optionalNumber('requests', values.requests, COUNTS) ?? DEFAULT_REQUESTS;
    checkAmount(worlds, requests);
    const episodes: Episode[] = [];
    for (let index = 0; index < worlds; index += 1) {
      const seed = firstSeed + index;
      const world = makeWorld({ ...work, manifest, requests, seed });
      episodes.push(...playWorld(world, seed));
      if ((index + 1) % TOLD_WORLDS === 0) io.stderr(`${index + 1} of ${worlds} worlds\n`);
    }
    const agents = summarise(episodes);
    io.stdout(
      asJson
        ? `${JSON.stringify({ model: manifest.name, worlds, requests: worlds * requests, firstSeed, agents })}\n`
        : describe(agents, worlds, requests),
    );
    return 0;
  },
};

function checkAmount(worlds: number, requests: number): void {
  if (worlds * requests <= MAX_REQUESTS_IN_ALL) return;
  throw new IsthmusError('bad-option', `worlds times requests may be at most ${MAX_REQUESTS_IN_ALL}`);
}

/** With a codec those that keep more: not everything can be written shorter, and a pure plan gets its best one too. */
function codecsOf(name = 'fp32'): readonly Codec[] {
  const found = CODECS.find((codec) => codec === name);
  if (found === undefined) {
    throw new IsthmusError('bad-option', `there is no codec '${name}': ${CODECS.join(', ')}`, {
      details: { codec: name },
    });
  }
  return CODECS.slice(0, CODECS.indexOf(found) + 1);
}

interface Work {
  readonly units: { readonly low: number; readonly high: number };
  readonly tokensPerUnit: number;
}

function middling(manifest: Manifest, { units: { low, high }, tokensPerUnit }: Work): Workload {
  const units = Math.round(Math.sqrt(low * high));
  return { ...usualWorkload(manifest, units), tokens: Math.max(1, Math.round(units * tokensPerUnit)) };
}

/** What requests of a package are like. */
function workOf({ audio }: Manifest): Work {
  if (audio === undefined) return { units: PLAIN_UNITS, tokensPerUnit: PLAIN_TOKENS_PER_UNIT };
  const rate = audio.sampleRate;
  const units = { low: SPEECH_SECONDS.low * rate, high: SPEECH_SECONDS.high * rate };
  return { units, tokensPerUnit: TOKENS_PER_SECOND / rate };
}

function describe(agents: readonly Summary[], worlds: number, requests: number): string {
  const rows = agents.map((one) => [
    one.agent,
    percent(one.meanRegret),
    percent(one.p95Regret),
    percent(one.nearPure),
    percent(one.afterChange[0] ?? 0),
    percent(one.afterChange[9] ?? 0),
    percent(one.cloudShare),
    percent(one.hedgedAtStart + one.hedgedLate),
    percent(one.extraDevice),
    percent(one.extraEndpoint),
  ]);
  const header = [
    '',
    'regret',
    '95th pct',
    'near best pure',
    'at a change',
    '10th after',
    'endpoint time',
    'two plans',
    'extra here',
    'extra there',
  ];
  return `${worlds} worlds of ${requests} requests\n\n${table(header, rows)}\n`;
}
