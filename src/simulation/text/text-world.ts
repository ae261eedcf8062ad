/** A made-up world that conversations pass through: device, endpoint, link, weights on their way, and what is asked. */
import type { Manifest } from '../../package/manifest.ts';
import { type Goal, goalOf } from '../../planner/objective.ts';
import type { LinkEstimate } from '../../planner/types.ts';
import { type Random, seeded } from '../random.ts';
import { CHANGES, type Change, LINKS } from '../world.ts';
import { PlaceTruth } from './place-truth.ts';

/** What holds during one request. */
export interface TextMoment {
  /** Ms since the session was opened. */
  readonly at: number;
  /** Rows of what is asked now, and the tokens that answer it. */
  readonly prompt: number;
  readonly tokens: number;
  /** It goes on where the answer before it ended. */
  readonly continues: boolean;
  /** Positions of the whole text when it is asked. */
  readonly length: number;
  /** Share of trips for which the text's past proposes something, and the chance that each proposal is right. */
  readonly hits: number;
  readonly acceptance: number;
  readonly link: LinkEstimate;
  readonly deviceFactor: number;
  readonly endpointFactor: number;
  /** Ms of waiting for each turn. */
  readonly queueMs: number;
  readonly isUp: boolean;
  /** Bytes of weights that have come by now; they go on coming at the link's rate where it is up. */
  readonly landedBytes: number;
}

export interface TextWorld {
  readonly manifest: Manifest;
  readonly device: PlaceTruth;
  readonly endpoint: PlaceTruth;
  /** How much longer the very first call here takes, and what building takes. */
  readonly firstRunFactor: number;
  readonly buildMsPerByte: number;
  /** Ms of each trip beside round trip and bytes: envelopes, event loops. */
  readonly tripOverheadMs: number;
  readonly goal: Goal;
  readonly moments: readonly TextMoment[];
  readonly change: Change;
  readonly isCold: boolean;
  readonly stepAt?: number;
}

const BYTES_PER_MEGABIT = 1e6 / 8;
const CHANGE_FACTOR = { low: 2, high: 8 };
const DRIFT_DEVIATION = 0.08;
const SPELL = 4;

/** Ms a token: a fast laptop to a slow phone, with a model that suits browsers. */
const DEVICE_STEP_MS = { low: 8, high: 200 };
const ENDPOINT_SPEEDUP = { low: 0.8, high: 10 };
const PREFILL_GAIN = { low: 2, high: 8 };
const CONTEXT_SHARE = { low: 0.05, high: 0.6 };

const PROMPT = { low: 32, high: 1000 };
const NEXT_PROMPT = { low: 16, high: 200 };
const ANSWER = { low: 16, high: 256 };
const CONTINUES_SHARE = 0.5;
const MOST_POSITIONS = 4000;

/** Between questions: who reads an answer and types. */
const PAUSE_MS = { low: 1_000, high: 60_000 };
const FIRST_MS = { low: 300, high: 3_000 };

const COLD_SHARE = 0.4;
const SMALL_MEMORY_SHARE = 0.2;
const LOADED_SHARE = 1 / 3;
const QUEUE_MS = { low: 1, high: 30 };

/** A download fills the buffers on the way: round trips beside it are so much longer. */
const BLOAT = { low: 1, high: 2 };

export function makeTextWorld(manifest: Manifest, requests: number, seed: number): TextWorld {
  const random = seeded(seed);
  const change = random.pick(CHANGES);
  const preset = random.pick(Object.values(LINKS) as [(typeof LINKS)['lan'], ...(typeof LINKS)['lan'][]]);
  const stepMs = random.logBetween(DEVICE_STEP_MS.low, DEVICE_STEP_MS.high);
  const speedup = random.logBetween(ENDPOINT_SPEEDUP.low, ENDPOINT_SPEEDUP.high);
  const bytes = manifest.blocks.reduce((sum, { weightBytes }) => sum + weightBytes, 0);
  const isCold = random.next() < COLD_SHARE;
  const isSmall = random.next() < SMALL_MEMORY_SHARE;
  const maxWeightBytes = isSmall ? bytes * random.between(0.3, 0.9) : Infinity;
  const stepAt = Math.floor(requests / 2);
  return {
    manifest,
    device: new PlaceTruth(manifest, shapeOf(stepMs, random), random),
    endpoint: new PlaceTruth(manifest, shapeOf(stepMs / speedup, random), random),
    firstRunFactor: random.between(1.2, 4),
    buildMsPerByte: 1e-5 * random.factor(0.5),
    tripOverheadMs: random.logBetween(0.3, 5),
    goal: goalOf(isSmall ? { maxWeightBytes } : {}),
    moments: momentsOf({ requests, stepAt, change, preset, isCold }, random),
    change,
    isCold,
    ...(['rtt', 'bandwidth', 'device', 'load'].includes(change) ? { stepAt } : {}),
  };
}

interface Course {
  readonly requests: number;
  readonly stepAt: number;
  readonly change: Change;
  readonly preset: { readonly rttMs: number; readonly down: number; readonly up: number };
  readonly isCold: boolean;
}

function momentsOf({ requests, stepAt, change, preset, isCold }: Course, random: Random): TextMoment[] {
  const factor = random.logBetween(CHANGE_FACTOR.low, CHANGE_FACTOR.high) ** random.pick([-1, 1]);
  const base = {
    rttMs: preset.rttMs * random.factor(0.3),
    up: preset.up * BYTES_PER_MEGABIT * random.factor(0.3),
    down: preset.down * BYTES_PER_MEGABIT * random.factor(0.3),
  };
  const bloat = random.between(BLOAT.low, BLOAT.high);
  const queueMs = random.next() < LOADED_SHARE ? random.logBetween(QUEUE_MS.low, QUEUE_MS.high) : 0;
  const moments: TextMoment[] = [];
  let at = random.logBetween(FIRST_MS.low, FIRST_MS.high);
  let landedBytes = isCold ? 0 : Infinity;
  let length = 0;
  let wander = 1;
  for (let index = 0; index < requests; index += 1) {
    wander *= random.factor(DRIFT_DEVIATION);
    const past = index >= stepAt;
    const inSpell = past && (index - stepAt) % (3 * SPELL) < SPELL;
    const on = (kind: Change): number => (change === kind && past ? factor : 1);
    const slow =
      (change === 'bursts' && inSpell ? Math.max(factor, 1 / factor) : 1) * (change === 'drift' ? wander : 1);
    const down = base.down / (on('bandwidth') * slow);
    const isUp = !(change === 'outage' && inSpell);
    const before = moments.at(-1);
    if (before !== undefined) {
      const pause = random.logBetween(PAUSE_MS.low, PAUSE_MS.high);
      at += pause;
      if (before.isUp) landedBytes += (before.link.downBytesPerSecond * pause) / 1000;
    } else landedBytes += (down * at) / 1000;
    const continues = before !== undefined && random.next() < CONTINUES_SHARE && length < MOST_POSITIONS;
    const range = continues ? NEXT_PROMPT : PROMPT;
    const prompt = Math.round(random.logBetween(range.low, range.high));
    const tokens = Math.round(random.logBetween(ANSWER.low, ANSWER.high));
    length = (continues ? length : 0) + prompt;
    moments.push({
      at,
      prompt,
      tokens,
      continues,
      length,
      hits: random.next() ** 2,
      acceptance: random.between(0.2, 0.95),
      link: {
        rttMs: base.rttMs * on('rtt') * slow * (isCold && landedBytes < 1e8 ? bloat : 1),
        upBytesPerSecond: base.up / (on('bandwidth') * slow),
        downBytesPerSecond: down,
        rttSpreadMs: base.rttMs / 10,
        confidence: 1,
      },
      deviceFactor: on('device') * (change === 'drift' ? 1 / wander : 1),
      endpointFactor: Math.max(1, on('load')),
      queueMs: queueMs * on('load') + (change === 'load' && past && factor > 1 ? QUEUE_MS.low * factor : 0),
      isUp,
      landedBytes,
    });
    length += tokens;
  }
  return moments;
}

function shapeOf(stepMs: number, random: Random) {
  return {
    stepMs,
    prefillGain: random.logBetween(PREFILL_GAIN.low, PREFILL_GAIN.high),
    contextShare: random.logBetween(CONTEXT_SHARE.low, CONTEXT_SHARE.high),
    callMs: random.logBetween(0.05, 1),
  };
}
