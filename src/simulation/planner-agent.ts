/** Isthmus's planner as an agent: the session's own knowledge and choice, with a simulated clock and link. */
import { fitProfile } from '../device/fit.ts';
import { isLookDue, leavesDeviceIdle, recheckInMs } from '../device/recheck.ts';
import type { LinkObservation } from '../link/estimator.ts';
import { afterGlance, isNews, NO_GLANCES, noteGlance, planGlance } from '../link/glance.ts';
import {
  type Idleness,
  MAX_IDLE_PROBES,
  PROBE_INTERVAL_MS,
  type Probe,
  pingsOf,
  planProbe,
} from '../link/probe.ts';
import { type Choice, type ChooseInput, choosePlan } from '../planner/choose.ts';
import { dueMs, hedgeInMs, secondPlan, startsBoth } from '../planner/hedge.ts';
import { hopesForEndpoint } from '../planner/hope.ts';
import { goalOf } from '../planner/objective.ts';
import type { PlanShape, PricedPlan, Workload } from '../planner/types.ts';
import type { ServedPace } from '../protocol/endpoint-load.ts';
import { Knowledge } from '../session/knowledge.ts';
import { usualWorkload } from '../session/planning.ts';
import { createMemoryJsonStore } from '../storage/json-store.ts';
import type { Agent, Ask } from './agents.ts';
import { calibration, pacesOf, sum } from './first-senses.ts';
import { playOut } from './outcome.ts';
import type { Hedge, Loser } from './race.ts';
import type { Random } from './random.ts';
import { type Moment, trueCosts, type World } from './world.ts';

const PROBE_DEVIATION = 0.12;
/** A mean of late waits is no more than that. */
const QUEUE_DEVIATION = 0.3;

/** As `session/rehearse` does it: a short input, as a share of the first request's, and a few tokens. */
const REHEARSAL = { share: 0.25, tokens: 4 };
const RECHECK = { share: 0.06, tokens: 1 };
const REHEARSALS = 2;

const REMOTE: PlanShape = { id: 'remote', kind: 'remote', cut: 0, codec: 'fp32' };
const LOCAL = (blocks: number): PlanShape => ({ id: 'local', kind: 'local', cut: blocks, codec: 'none' });

export function plannerAgent(world: World, random: Random): Agent {
  const { manifest } = world;
  const typicalUnits = world.moments[0]?.workload.units ?? 1;
  let now = 0;
  let told: readonly ServedPace[] = [];
  const clock = { now: () => now, epoch: () => now };
  const knowledge = new Knowledge(manifest, createMemoryJsonStore(), clock);
  knowledge.useDevice(fitProfile(manifest, 'wasm', calibration(world, random)));
  let waitedMs = 0;
  /**
   * What the endpoint says of itself with a hello or a pong: how long answers wait, and paces as they were when
   * it last worked: for its own rehearsal before anyone came, and at any time where others keep it busy.
   */
  const hear = (moment: Moment, isFirst: boolean): void => {
    const isBusy = moment.queueMs > 0;
    const workload = isBusy
      ? moment.workload
      : { units: Math.round(typicalUnits * REHEARSAL.share), tokens: REHEARSAL.tokens };
    const queueMs = moment.queueMs * random.factor(QUEUE_DEVIATION);
    if (!isFirst && !isBusy) {
      knowledge.observeLoad({ queueMs, paces: told });
      return;
    }
    const { endpointMs } = playOut(REMOTE, trueCosts(world, { ...moment, workload }), random);
    told = pacesOf(endpointMs, world.manifest, workload);
    knowledge.observeLoad({ queueMs, paces: told });
  };
  const probe = (at: number, idleness: Idleness, moment: Moment): void => {
    now = at;
    const planned = planProbe(knowledge.link, idleness, at);
    if (planned === undefined) return;
    for (const seen of ping(planned, moment)) knowledge.observeLink(seen);
  };
  const ping = (planned: Probe, moment: Moment): readonly LinkObservation[] => {
    const { link } = moment;
    hear(moment, false);
    return pingsOf(planned).map(({ upBytes, downBytes, seen }) => {
      const bytesMs = (1000 * upBytes) / link.upBytesPerSecond + (1000 * downBytes) / link.downBytesPerSecond;
      return seen((link.rttMs + bytesMs) * random.factor(PROBE_DEVIATION));
    });
  };
  /** The link, beside a request that runs here alone (`session/link-glances`). */
  const glance = (ask: Ask): void => {
    unseen += 1;
    const bytes = planGlance(knowledge.link, glances, { now, maxBytesUp: goal.maxBytesUp, requests: unseen });
    if (bytes === undefined || !ask.isUp || !hopesForEndpoint(inputOf(ask))) return;
    unseen = 0;
    const planned = { upBytes: bytes, downBytes: 0 };
    let seen = ping(planned, momentOf(ask));
    const news = isNews(knowledge.link, seen, now);
    if (news) seen = [...seen, ...ping(planned, momentOf(ask))];
    knowledge.link = afterGlance(knowledge.link, seen, now);
    glances = noteGlance(glances, { now, bytes: news ? 2 * bytes : bytes, isNews: news });
  };
  /** A small request of the session's own. */
  const rehearse = (
    moment: Moment,
    { share, tokens }: typeof REHEARSAL,
    when: 'opening' | 'look',
  ): number => {
    const workload = { units: Math.round(typicalUnits * share), tokens };
    const truth = trueCosts(world, { ...moment, workload });
    const { deviceMs, totalMs } = playOut(LOCAL(manifest.blocks.length), truth, random);
    void knowledge.observeDevice(deviceMs, workload, when);
    return totalMs;
  };
  const watch = () => ({
    sinceSeenMs: knowledge.sinceDeviceMs,
    sinceCheckMs: now - checkedAt,
    checkMs,
    isDoubted: knowledge.isDeviceDoubted,
    requests: elsewhere,
  });
  const look = (moment: Moment): void => {
    checkMs = rehearse(moment, RECHECK, 'look');
    checkedAt = now;
    elsewhere = 0;
  };
  const check = (from: number, until: number, moment: Moment): void => {
    now = from;
    now += recheckInMs(watch());
    if (now <= until) look(moment);
  };
  const goal = goalOf();
  let choice: Choice | undefined;
  let checkedAt = -Infinity;
  let checkMs = 0;
  let glances = NO_GLANCES;
  /** Requests since the link was used or looked at, and that ran elsewhere since the device was. */
  let unseen = 0;
  let elsewhere = 0;
  let last: { readonly moment: Moment; readonly endedAt: number } | undefined;
  return {
    name: 'isthmus',
    waitedMs: () => waitedMs,
    choose: (ask) => {
      idle(ask);
      now = ask.at;
      choice = choosePlan(inputOf(ask));
      const { chosen } = choice;
      // A look that began beside the last request may not be over yet.
      waitedMs = chosen.cut === 0 ? 0 : Math.max(0, checkedAt + checkMs - now);
      return chosen;
    },
    hedge: (ask) => hedgeOf(ask),
    learn: (ask, { winner: outcome, beganMs, loser }, tokens) => {
      const done: Workload = { units: ask.units, tokens };
      if (outcome.plan.kind === 'local') elsewhere = 0;
      else {
        unseen = 0;
        elsewhere += 1;
      }
      // Beside a request that needs the endpoint alone, or behind one that hardly needs the device.
      if (leavesDeviceIdle(priced(outcome.plan)) && loser === undefined && isLookDue(watch()))
        look(momentOf(ask));
      if (outcome.plan.kind === 'local' && loser === undefined) glance(ask);
      void knowledge.observeDevice(outcome.deviceMs, done);
      if (outcome.plan.kind !== 'local') {
        const timing = { queueMs: outcome.queueMs, computeMs: 0 };
        knowledge.observeEndpoint({ segments: outcome.endpointMs, timing }, outcome.roundTrips, done);
        for (const one of outcome.link) knowledge.observeLink(one);
      }
      if (loser !== undefined) learnLoss(ask, loser);
      knowledge.observeFinished({
        plan: priced(outcome.plan),
        tookMs: outcome.totalMs,
        workedMs: sum(outcome.deviceMs) + sum(outcome.endpointMs),
        extraMs: (loser?.deviceMs ?? 0) + (loser?.endpointMs ?? 0),
        ...(loser === undefined ? {} : { loser: loser.plan.kind === 'local' ? 'device' : 'endpoint' }),
      });
      knowledge.observeTokens(tokens, ask.maxTokens);
      last = { moment: momentOf(ask), endedAt: ask.at + waitedMs + beganMs + outcome.totalMs };
    },
  };

  function inputOf(ask: Ask): ChooseInput {
    return {
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
      goal,
    };
  }

  function hedgeOf(ask: Ask): Hedge | undefined {
    if (choice === undefined) return undefined;
    const { chosen: first, plans } = choice;
    const second = secondPlan({ first, plans, goal });
    if (second === undefined) return undefined;
    const { doubt, known } = knowledge;
    const expectedTokens = expected(ask).tokens;
    return {
      second,
      atStart: startsBoth(first, second, { goal, doubt, known }),
      inMs: (progress) =>
        hedgeInMs(first, second, { ...progress, expectedTokens }, { goal, doubt, link: known.link }),
    };
  }

  function learnLoss(ask: Ask, { plan, ranMs, tokens }: Loser): void {
    const lost = priced(plan);
    const ratio = ranMs / dueMs(lost, tokens, expected(ask).tokens);
    knowledge.observeAtLeast(lost, ratio, { units: ask.units, tokens });
  }

  function priced({ id }: PlanShape): PricedPlan {
    const found = choice?.plans.find((plan) => plan.id === id);
    if (found === undefined) throw new RangeError(`${id} was never priced`);
    return found;
  }

  function expected({ units, maxTokens }: Ask): Workload {
    return { ...usualWorkload(manifest, units), tokens: knowledge.expectedTokens(maxTokens) };
  }

  /** What a session does while nobody asks (`session/idle`); it meets the world as the last request left it. */
  function idle(ask: Ask): void {
    if (last === undefined) {
      // Weights are here in these worlds: the whole model was rehearsed before anyone asked.
      for (let run = 0; run < REHEARSALS; run += 1) {
        rehearse(opening(momentOf(ask)), REHEARSAL, 'opening');
      }
      if (ask.isUp) hear(momentOf(ask), true);
      if (ask.isUp) probe(ask.at, { quietMs: Infinity, probes: 0 }, momentOf(ask));
      return;
    }
    const { moment, endedAt } = last;
    check(endedAt, ask.at, moment);
    let at = endedAt;
    for (let probes = 0; moment.isUp && probes < MAX_IDLE_PROBES; probes += 1) {
      const quietMs = PROBE_INTERVAL_MS * 2 ** probes;
      at += quietMs;
      if (at > ask.at) return;
      probe(at, { quietMs, probes }, moment);
    }
  }

  function momentOf({ index }: Ask): Moment {
    const found = world.moments[index];
    if (found === undefined) throw new RangeError(`there is no request ${index}`);
    return found;
  }

  /** As the device was while the session opened. */
  function opening(moment: Moment): Moment {
    return { ...moment, deviceFactor: moment.deviceFactor * world.openingFactor };
  }
}
