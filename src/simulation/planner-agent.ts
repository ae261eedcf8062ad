/** Isthmus's planner as an agent: the session's own knowledge and choice, with a simulated clock and link. */
import type { Measurement } from '../device/fit.ts';
import { fitProfile } from '../device/fit.ts';
import { phaseMs } from '../device/span-ms.ts';
import type { LinkObservation } from '../link/estimator.ts';
import { planProbe } from '../link/probe.ts';
import { choosePlan } from '../planner/choose.ts';
import type { Workload } from '../planner/types.ts';
import { Knowledge } from '../session/knowledge.ts';
import { createMemoryJsonStore } from '../storage/json-store.ts';
import type { Agent, Ask } from './agents.ts';
import type { Random } from './random.ts';
import type { Moment, World } from './world.ts';

/** Calibration as a session does it: the first two blocks at two sizes, with the noise of one run. */
const CALIBRATED_BLOCKS = 2;
const CALIBRATION_UNITS = [0.25, 1] as const;
const CALIBRATION_DEVIATION = 0.05;
const PROBE_DEVIATION = 0.12;

/** `momentAt` is the world at the request that is asked for: what a probe just before it would meet. */
export function plannerAgent(world: World, random: Random, momentAt: () => Moment): Agent {
  const { manifest } = world;
  let now = 0;
  const clock = { now: () => now, epoch: () => now };
  const knowledge = new Knowledge(manifest, createMemoryJsonStore(), clock);
  knowledge.useDevice(fitProfile(manifest, 'wasm', calibration(world, random)));
  const probe = (at: number, quietMs: number, probes: number): boolean => {
    now = at;
    const planned = planProbe(knowledge.link, { quietMs, probes }, at);
    if (planned === undefined) return false;
    const { link } = momentAt();
    const seen = (bytes: number, rate: number): number =>
      (link.rttMs + (1000 * bytes) / rate) * random.factor(PROBE_DEVIATION);
    const observations: LinkObservation[] = [{ kind: 'rtt', ms: seen(0, 1) }];
    if (planned.upBytes > 0) {
      const ms = seen(planned.upBytes, link.upBytesPerSecond);
      observations.push({ kind: 'transfer', direction: 'up', bytes: planned.upBytes, ms });
    }
    if (planned.downBytes > 0) {
      const ms = seen(planned.downBytes, link.downBytesPerSecond);
      observations.push({ kind: 'transfer', direction: 'down', bytes: planned.downBytes, ms });
    }
    for (const one of observations) knowledge.observeLink(one);
    return true;
  };
  let lastAt: number | undefined;
  return {
    name: 'isthmus',
    choose: (ask) => {
      idle(ask);
      now = ask.at;
      return choosePlan({
        manifest,
        workload: expected(ask),
        device: knowledge.device,
        endpoint: knowledge.endpoint,
        link: knowledge.estimateLink(),
        missingWeightBytes: () => 0,
        choice: 'auto',
        codecs: ['fp32'],
        endpointState: ask.isUp ? 'up' : 'down',
        weightsReachable: true,
      }).chosen;
    },
    learn: (ask, outcome, tokens) => {
      const done: Workload = { units: ask.units, tokens };
      void knowledge.observeDevice(outcome.deviceMs, done);
      if (outcome.plan.kind !== 'local') {
        const timing = { queueMs: outcome.queueMs, computeMs: 0 };
        knowledge.observeEndpoint({ segments: outcome.endpointMs, timing }, outcome.roundTrips, done);
        for (const one of outcome.link) knowledge.observeLink(one);
      }
      knowledge.observeTokens(tokens, ask.maxTokens);
      lastAt = ask.at;
    },
  };

  function expected({ units, maxTokens }: Ask): Workload {
    return { units, tokens: knowledge.expectedTokens(maxTokens) };
  }

  /** Probes that a session would have sent since the last request. */
  function idle({ at, isUp }: Ask): void {
    if (!isUp) return;
    if (lastAt === undefined) probe(at, Infinity, 0);
  }
}

function calibration(world: World, random: Random): readonly Measurement[] {
  const { manifest, device, moments } = world;
  const units = moments[0]?.workload.units ?? 1;
  const [stage] = manifest.stages;
  if (stage?.kind !== 'once') return [];
  return Array.from({ length: Math.min(CALIBRATED_BLOCKS, stage.to) }, (_, from) => from).flatMap((from) =>
    CALIBRATION_UNITS.map((share): Measurement => {
      const size = Math.round(units * share);
      const ms = phaseMs(device.blocks[from]?.once, size) * random.factor(CALIBRATION_DEVIATION);
      return { segment: { stage: 0, from, to: from + 1 }, phase: 'once', units: size, ms };
    }),
  );
}
