/** What a session has learned: the device, the endpoint, the link and how long answers are. */
import type { Clock } from '../core/clock.ts';
import { stageExtents } from '../core/extents.ts';
import { type Forecast, forecastOf, observeForecast } from '../core/forecast.ts';
import {
  type EndpointProfile,
  endpointPrior,
  endpointSide,
  observeEndpoint,
  observeServed,
  parseSegmentKey,
} from '../device/endpoint-profile.ts';
import { CONFIRMING_RUNS, lowered, loweringOf } from '../device/first-costs.ts';
import { fitProfile, type Measurement } from '../device/fit.ts';
import { fadeProfile, type LearnedProfile } from '../device/learned-profile.ts';
import { LookJudge } from '../device/look-judge.ts';
import { NEW_PACE } from '../device/pace-forecast.ts';
import {
  expectedMs,
  nextSide,
  observeRuns,
  type PacedSide,
  type Run,
  unpaced,
} from '../device/paced-side.ts';
import {
  addMeasurements,
  type DeviceProfile,
  isStale,
  newProfile,
  PROFILE_HALF_LIFE_MS,
  type ProfileKey,
  parseProfile,
  profileAgeMs,
  profileId,
  serialiseProfile,
} from '../device/profile.ts';

import { phaseMs } from '../device/span-ms.ts';
import { phasesOf } from '../device/work.ts';
import { IsthmusError, isIsthmusError } from '../errors.ts';
import {
  estimateLink,
  type LinkObservation,
  type LinkState,
  NEW_LINK,
  observeLink,
} from '../link/estimator.ts';
import type { Manifest } from '../package/manifest.ts';
import { type Doubt, type Finished, type Known, NEW_DOUBT, observeFinished } from '../planner/doubt.ts';
import type { EndpointSide, LinkEstimate, PricedPlan, SideProfile, Workload } from '../planner/types.ts';
import type { ModelLoad, ServedPace } from '../protocol/endpoint-load.ts';
import type { DoneMessage } from '../protocol/messages.ts';
import type { ExecutionProvider } from '../runtime/runner.ts';
import type { JsonStore } from '../storage/json-store.ts';
import { ToldLoad } from './told-load.ts';

/** Weight of the newest request in the expected length of an answer. */
const TOKENS_LEARNING_RATE = 0.3;

/** Before the first answer: this share of the most tokens that an input of its length may have. */
const TOKENS_PRIOR_SHARE = 0.5;

/** A machine that slept in a race has not become slower without end; a change by more than this shows again. */
const MAX_LOSS_RATIO = 8;

export class Knowledge {
  link: LinkState = NEW_LINK;
  doubt: Doubt = NEW_DOUBT;
  readonly #manifest: Manifest;
  readonly #profiles: JsonStore;
  readonly #clock: Clock;
  #device: PacedSide | undefined;
  #stored: DeviceProfile | undefined;
  #endpoint: EndpointProfile | undefined;
  #tokenShare = TOKENS_PRIOR_SHARE;
  #tokens: Forecast | undefined;
  #deviceSeenAt: number | undefined;
  readonly #looks = new LookJudge();
  /** Runs that must still bear out what was measured while the session opened. */
  #unconfirmed = 0;
  readonly #told = new ToldLoad();

  constructor(manifest: Manifest, profiles: JsonStore, clock: Clock) {
    this.#manifest = manifest;
    this.#profiles = profiles;
    this.#clock = clock;
  }

  /** The measured costs of this device, at the pace that is forecast for the next request. */
  get device(): SideProfile {
    return nextSide(this.#measured);
  }

  /** As measured, with how often. */
  get learned(): LearnedProfile {
    return this.#measured.learned;
  }

  get #measured(): PacedSide {
    if (this.#device === undefined) throw new IsthmusError('internal', 'the device was not measured yet');
    return this.#device;
  }

  get endpoint(): EndpointSide {
    this.#endpoint ??= endpointPrior(this.device);
    return endpointSide(this.#endpoint);
  }

  /** What an earlier visit measured, or `undefined`. */
  async recall(key: ProfileKey): Promise<DeviceProfile | undefined> {
    const profile = parseProfile(await this.#read(profileId(key)), key);
    return profile === undefined || isStale(profile, this.#clock.epoch()) || profile.measurements.length === 0
      ? undefined
      : profile;
  }

  /** A profile with newly taken measurements, stored. */
  async remember(key: ProfileKey, measurements: readonly Measurement[]): Promise<DeviceProfile> {
    const epoch = this.#clock.epoch();
    const profile = addMeasurements(newProfile(key, epoch), measurements, epoch);
    await this.#write(profile);
    return profile;
  }

  fit(profile: DeviceProfile, provider: ExecutionProvider): LearnedProfile {
    const learned = fitProfile(this.#manifest, provider, profile.measurements);
    return fadeProfile(learned, profileAgeMs(profile, this.#clock.epoch()) / PROFILE_HALF_LIFE_MS);
  }

  /** Without a stored profile what is learned stays in memory. */
  useDevice(learned: LearnedProfile, profile?: DeviceProfile): void {
    this.#device = unpaced(learned);
    this.#deviceSeenAt = this.#clock.now();
    this.#unconfirmed = CONFIRMING_RUNS;
    this.#stored = profile;
    const early = this.#told.takeEarly();
    if (early !== undefined) this.observeLoad(early);
  }

  /** Ms since anything was measured on the device. */
  get sinceDeviceMs(): number {
    return this.#deviceSeenAt === undefined ? Infinity : Math.max(0, this.#clock.now() - this.#deviceSeenAt);
  }

  /** Whether the device's costs are those of its opening, which may be far too high; a mere guess is no bound. */
  get isDeviceDoubted(): boolean {
    return this.#unconfirmed > 0 && this.#measured.learned.side.confidence > 0;
  }

  estimateLink(): LinkEstimate {
    return estimateLink(this.link, this.#clock.now());
  }

  /**
   * A connection broke: the next one may go another way (from a phone's network to a wire), so that it is looked at
   * as a new one is (`meet-endpoint`).
   */
  forgetLink(): void {
    this.link = NEW_LINK;
  }

  observeLink(observation: LinkObservation): void {
    this.link = observeLink(this.link, observation, this.#clock.now());
  }

  /** What is known of each side, for who weighs how sure a prediction is. */
  get known(): Known {
    const { device, endpoint } = this;
    return {
      device: device.confidence,
      isDeviceDoubted: this.isDeviceDoubted,
      endpoint: endpoint.side.confidence,
      link: this.estimateLink(),
    };
  }

  observeFinished(finished: Finished): void {
    this.doubt = observeFinished(this.doubt, finished);
  }

  /**
   * A plan that lost a race was not done after `atLeast` times what it was predicted to take by then. Nothing follows
   * below 1. Above it its side is slower by that at least; of an endpoint nobody saw whether it or the link is, and
   * both are taken to be. Nothing is stored: it is no measurement.
   */
  observeAtLeast(plan: PricedPlan, atLeast: number, workload: Workload): void {
    if (!(atLeast > 1) || plan.kind === 'split') return;
    const ratio = Math.min(MAX_LOSS_RATIO, atLeast);
    if (plan.kind === 'local') {
      const runs = this.#expected(this.device, workload).map((one): Run => {
        return { ...one, ms: one.ms * ratio, runs: one.phase === 'step' ? workload.tokens + 1 : 1 };
      });
      this.#device = unpaced(observeRuns(this.#measured, runs).learned);
      return;
    }
    const { side, queueMs } = this.endpoint;
    const segments = this.#expected(side, workload).map(({ segment, phase, ms }) => {
      const runs = phase === 'step' ? workload.tokens + 1 : 1;
      return [`${segment.stage}:${segment.from}-${segment.to}:${phase}`, ms * runs * ratio] as const;
    });
    const timing = { queueMs: queueMs * ratio, computeMs: 0 };
    this.observeEndpoint({ segments: Object.fromEntries(segments), timing }, 1, workload);
    const { rttMs, upBytesPerSecond } = this.estimateLink();
    const { bytesUp } = plan.prediction;
    const ms = ratio * (rttMs + (1000 * bytesUp) / upBytesPerSecond);
    this.observeLink({ kind: 'transfer', direction: 'up', bytes: bytesUp, ms });
    // A bound is no observation: what was forecast before it holds no more, and begins anew.
    if (this.#endpoint !== undefined) this.#endpoint = { ...this.#endpoint, pace: NEW_PACE, wait: undefined };
    this.link = { ...this.link, ahead: {} };
  }

  /** What each stage is believed to take on a side, phase by phase; one step of a loop. */
  #expected(side: SideProfile, workload: Workload): readonly Measurement[] {
    const extents = stageExtents(this.#manifest, workload.units);
    return this.#manifest.stages.flatMap((stage, index) =>
      phasesOf(stage).map((phase): Measurement => {
        const units = phase === 'step' ? 1 : (extents[index] ?? 0);
        const ms = side.blocks
          .slice(stage.from, stage.to)
          .reduce((sum, cost) => sum + phaseMs(cost[phase], units), 0);
        return { segment: { stage: index, from: stage.from, to: stage.to }, phase, units, ms };
      }),
    );
  }

  /**
   * Corrects the device's costs by what a request took there, or a look at it, and stores them. What ran while the
   * session opened bears nothing out.
   */
  async observeDevice(
    segmentMs: Readonly<Record<string, number>>,
    workload: Workload,
    when: 'opening' | 'look' | 'request' = 'request',
  ): Promise<void> {
    if (this.#device === undefined) return;
    const runs = this.#runsOf(segmentMs, workload);
    if (runs.length === 0) return;
    if (this.isDeviceDoubted) this.#compare(runs, when);
    this.#deviceSeenAt = this.#clock.now();
    const isLook = when === 'look' && !this.isDeviceDoubted;
    const believed = isLook ? this.#judged(runs) : runs;
    if (believed === undefined) return;
    this.#device = observeRuns(this.#measured, believed);
    if (!isLook) this.#looks.noteRequests();
    if (this.#stored === undefined) return;
    const measured = believed.map(({ runs: _, ...measurement }): Measurement => measurement);
    this.#stored = addMeasurements(this.#stored, measured, this.#clock.epoch());
    await this.#write(this.#stored);
  }

  /** What a look's runs stand for, in ms as requests take them; `undefined` where nothing is learned from it. */
  #judged(runs: readonly Run[]): readonly Run[] | undefined {
    const ms = runs.reduce((sum, run) => sum + run.ms * run.runs, 0);
    const expected = (): number => expectedMs(this.#measured.learned.side, runs);
    const { factor } = this.#looks.take({ ms, expectedMs: expected });
    if (factor === undefined) return undefined;
    const worth = (factor * expected()) / ms;
    return runs.map((run) => ({ ...run, ms: run.ms * worth }));
  }

  #runsOf(segmentMs: Readonly<Record<string, number>>, workload: Workload): readonly Run[] {
    const extents = stageExtents(this.#manifest, workload.units);
    const runs: Run[] = [];
    for (const [key, total] of Object.entries(segmentMs)) {
      const parsed = parseSegmentKey(key);
      if (parsed === undefined) continue;
      const { segment, phase } = parsed;
      const isStep = phase === 'step';
      const units = isStep ? 1 : (extents[segment.stage] ?? 0);
      // A loop of n tokens takes n + 1 steps: the last one finds the end.
      const times = isStep ? workload.tokens + 1 : 1;
      runs.push({ segment, phase, units, ms: total / times, runs: times });
    }
    return runs;
  }

  /** First costs against what ran behind them. */
  #compare(runs: readonly Run[], when: 'opening' | 'look' | 'request'): void {
    const factor = loweringOf(this.#measured, runs);
    if (factor === 1) {
      if (when !== 'opening') this.#unconfirmed -= 1;
      return;
    }
    this.#device = lowered(this.#measured, factor);
    if (this.#stored === undefined) return;
    const measurements = this.#stored.measurements.map((one) => ({ ...one, ms: one.ms * factor }));
    this.#stored = { ...this.#stored, measurements };
  }

  /** Told of what others' requests took at the endpoint: at once what is known, then what is heard. */
  onServed(listener: (pace: ServedPace) => void): void {
    this.#told.listen(listener);
  }

  /** What the endpoint says of itself with a hello or a pong. */
  observeLoad(load: ModelLoad): void {
    if (this.#device === undefined) {
      // Guesses about the endpoint begin with the device: it is measured first.
      this.#told.keepEarly(load);
      return;
    }
    const profile = this.#endpoint ?? endpointPrior(this.device);
    this.#endpoint = observeServed(profile, this.#manifest, load.queueMs, this.#told.news(load));
  }

  observeEndpoint(done: Pick<DoneMessage, 'segments' | 'timing'>, turns: number, workload: Workload): void {
    this.#told.served();
    this.#endpoint = observeEndpoint(this.#endpoint ?? endpointPrior(this.device), this.#manifest, {
      segments: done.segments,
      queueMs: done.timing.queueMs,
      turns,
      workload: { units: workload.units, tokens: workload.tokens + 1 },
    });
  }

  /** @param bound most tokens that the request may make */
  expectedTokens(bound: number): number {
    return Math.max(1, Math.round(bound * forecastOf(this.#tokens, this.#tokenShare).value));
  }

  observeTokens(tokens: number, bound: number): void {
    if (bound <= 0) return;
    this.#tokens = observeForecast(this.#tokens, Math.max(1, tokens) / bound, { usual: this.#tokenShare });
    this.#tokenShare += TOKENS_LEARNING_RATE * (tokens / bound - this.#tokenShare);
  }

  /** A store that fails costs a measurement, not the session. */
  async #read(id: string): Promise<unknown> {
    try {
      return await this.#profiles.get(id);
    } catch (error) {
      if (!isIsthmusError(error)) throw error;
      return undefined;
    }
  }

  async #write(profile: DeviceProfile): Promise<void> {
    try {
      await this.#profiles.set(profileId(profile.key), serialiseProfile(profile));
    } catch (error) {
      if (!isIsthmusError(error)) throw error;
    }
  }
}
