/**
 * A fleet of devices that come one after another to an endpoint where nobody was before: what each would take its
 * own speed for at its first request, and what plan that would bring, with and without the reports of those before.
 */
import { endpointPrior, endpointSide } from '../device/endpoint-profile.ts';
import { fleetProfile, octavesOff } from '../device/fleet-prior.ts';
import { wholeMs } from '../device/span-ms.ts';
import { believer } from '../fleet/belief.ts';
import { FLEET_CLASSES, type FleetClass } from '../fleet/device-class.ts';
import { isSlower } from '../fleet/question.ts';
import { randomiseBit } from '../fleet/randomised-bit.ts';
import { Tally } from '../fleet/tally.ts';
import type { Manifest } from '../package/manifest.ts';
import { choosePlan } from '../planner/choose.ts';
import { type CostModel, predict } from '../planner/cost.ts';
import { enumeratePlans } from '../planner/enumerate.ts';
import type { EndpointSide, SideProfile, Workload } from '../planner/types.ts';
import { best } from './agents.ts';
import { type Random, seeded } from './random.ts';
import { LINKS, sideTaking, trueCosts, type World } from './world.ts';

export interface FleetOptions {
  readonly manifest: Manifest;
  readonly devices: number;
  /** Units of the shortest and the longest first request, and the tokens that a unit stands for. */
  readonly units: { readonly low: number; readonly high: number };
  readonly tokensPerUnit: number;
  readonly seed: number;
}

/** A device at its first request. */
export interface Newcomer {
  readonly deviceClass: FleetClass;
  /** In truth, by the octaves that it would report about. */
  readonly octaves: number;
  readonly workload: Workload;
  readonly truth: CostModel;
}

export interface FleetSummary {
  readonly belief: string;
  /** Mean of how far the believed time of the device lay from the true one, in octaves. */
  readonly meanError: number;
  /** Share that took the plan that was best in truth. */
  readonly bestPlan: number;
  /** Mean of the share by which first requests took longer than the best plan would have. */
  readonly meanRegret: number;
  readonly p95Regret: number;
}

/** Classes that come, by how often, with octaves off the package's own: invented, wide on purpose. */
const POPULATION: readonly {
  readonly weight: number;
  readonly deviceClass: FleetClass;
  readonly octaves: number;
}[] = [
  { weight: 25, deviceClass: 'phone-4-middle', octaves: 0.7 },
  { weight: 20, deviceClass: 'phone-2-small', octaves: 2.2 },
  { weight: 10, deviceClass: 'phone-1-small', octaves: 3 },
  { weight: 20, deviceClass: 'computer-4-middle', octaves: -0.8 },
  { weight: 15, deviceClass: 'computer-4-large', octaves: -1.5 },
  { weight: 10, deviceClass: 'computer-2-small', octaves: 0.6 },
];

/** Within a class, of the logarithm to base 2: two of three devices lie within a factor of 1.75. */
const CLASS_SPREAD = 0.8;

/** The built-in guess is off by a constant for a whole package: other operators, other widths of weights. */
const PACKAGE_OCTAVES = { low: -2, high: 2 };

/** Of the endpoint, in octaves off the package's own: four times as fast as the guess. */
const ENDPOINT_OCTAVES = -2;

const ARRIVAL_MS = 3_600_000;
const BYTES_PER_MEGABIT = 1e6 / 8;
const MODEL = 'simulated';

/** Devices in the order in which they come; the same for the same seed. */
export function makeFleet(options: FleetOptions): readonly Newcomer[] {
  const random = seeded(options.seed);
  const { manifest, units: range } = options;
  const own = random.between(PACKAGE_OCTAVES.low, PACKAGE_OCTAVES.high);
  const typical = workloadAt(Math.sqrt(range.low * range.high), options);
  const guess = wholeMs(fleetProfile(manifest, 'wasm', 0).side, manifest, typical);
  const endpoint = sideTaking(manifest, guess * 2 ** (own + ENDPOINT_OCTAVES), typical, random);
  return Array.from({ length: options.devices }, (): Newcomer => {
    const { deviceClass, octaves } = classOf(random);
    const ms = guess * 2 ** (own + octaves) * random.factor(CLASS_SPREAD * Math.LN2);
    const device = sideTaking(manifest, ms, typical, random);
    const workload = workloadAt(random.logBetween(range.low, range.high), options);
    const preset = random.pick(Object.values(LINKS) as [(typeof LINKS)['lan'], ...(typeof LINKS)['lan'][]]);
    const moment = {
      pauseMs: 0,
      workload,
      maxTokens: 2 * workload.tokens,
      link: {
        rttMs: preset.rttMs,
        upBytesPerSecond: preset.up * BYTES_PER_MEGABIT,
        downBytesPerSecond: preset.down * BYTES_PER_MEGABIT,
        rttSpreadMs: 0,
        confidence: 1,
      },
      deviceFactor: 1,
      endpointFactor: 1,
      queueMs: 0,
      isUp: true,
    };
    const manner = { change: 'none', openingFactor: 1, isBurst: false } as const;
    const world: World = { manifest, device, endpoint, moments: [moment], ...manner };
    return {
      deviceClass,
      octaves: octavesOff(device, manifest, typical),
      workload,
      truth: trueCosts(world, moment),
    };
  });
}

function workloadAt(units: number, { tokensPerUnit }: FleetOptions): Workload {
  return { units: Math.round(units), tokens: Math.max(1, Math.round(units * tokensPerUnit)) };
}

function classOf(random: Random): (typeof POPULATION)[number] {
  let left = random.next() * POPULATION.reduce((sum, { weight }) => sum + weight, 0);
  const found = POPULATION.find(({ weight }) => {
    left -= weight;
    return left < 0;
  });
  return found ?? { weight: 0, deviceClass: FLEET_CLASSES[0] ?? 'computer-1-small', octaves: 0 };
}

/** The built-in guess, the fleet's prior under each epsilon, and the truth, over the same devices. */
export function playFleet(
  fleet: readonly Newcomer[],
  epsilons: readonly number[],
  seed: number,
): readonly FleetSummary[] {
  const learned = epsilons.map((epsilon) => {
    const random = seeded(seed);
    const tally = new Tally(believer(epsilon));
    const octaves = fleet.map(({ deviceClass, octaves }, index) => {
      const place = { model: MODEL, provider: 'wasm', deviceClass } as const;
      const at = index * ARRIVAL_MS;
      const { belief, isKnown } = tally.look(place, at);
      const question = belief.ask(random.next());
      const word = Math.floor(random.next() * 2 ** 32);
      tally.add(place, question, randomiseBit(isSlower(octaves, question), word, epsilon), at);
      return isKnown ? belief.median : 0;
    });
    return summaryOf(`fleet, epsilon ${epsilon}`, fleet, octaves);
  });
  return [
    summaryOf(
      'built-in guess',
      fleet,
      fleet.map(() => 0),
    ),
    ...learned,
    summaryOf(
      'true speed',
      fleet,
      fleet.map(({ octaves }) => octaves),
    ),
  ];
}

function summaryOf(belief: string, fleet: readonly Newcomer[], octaves: readonly number[]): FleetSummary {
  const firsts = fleet.map((newcomer, index) => firstRequest(newcomer, octaves[index] ?? 0));
  const regrets = firsts.map(({ regret }) => regret).sort((a, b) => a - b);
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, one) => sum + one, 0) / Math.max(1, values.length);
  return {
    belief,
    meanError: mean(fleet.map((newcomer, index) => Math.abs(newcomer.octaves - (octaves[index] ?? 0)))),
    bestPlan: mean(firsts.map(({ isBest }) => (isBest ? 1 : 0))),
    meanRegret: mean(regrets),
    p95Regret: regrets[Math.floor(regrets.length * 0.95)] ?? 0,
  };
}

function firstRequest(
  { workload, truth }: Newcomer,
  octaves: number,
): { readonly isBest: boolean; readonly regret: number } {
  const { manifest, link, endpoint } = truth.input;
  const device: SideProfile = fleetProfile(manifest, 'wasm', octaves).side;
  const believed: EndpointSide = endpoint ?? endpointSide(endpointPrior(device));
  const { chosen } = choosePlan({
    manifest,
    workload,
    device,
    endpoint: believed,
    link,
    missingWeightBytes: () => 0,
    choice: 'auto',
    codecs: ['fp32'],
    endpointState: 'up',
    weightsReachable: true,
  });
  const plans = enumeratePlans(manifest, { choice: 'auto', codecs: ['fp32'], hasEndpoint: true });
  const ms = (plan: (typeof plans)[number]): number => predict(plan, truth).totalMs;
  const oracle = best(plans, ms);
  return { isBest: oracle.id === chosen.id, regret: ms(chosen) / ms(oracle) - 1 };
}
