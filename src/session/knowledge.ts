/** What a session has learned: the device, the endpoint, the link and how long answers are. */
import type { Clock } from '../core/clock.ts';
import { type Forecast, forecastOf, observeForecast } from '../core/forecast.ts';
import {
  type EndpointProfile,
  endpointPrior,
  endpointSide,
  observeEndpoint,
  observeServed,
} from '../device/endpoint-profile.ts';
import type { LearnedProfile } from '../device/learned-profile.ts';
import { NEW_PACE } from '../device/pace-forecast.ts';
import type { DeviceProfile } from '../device/profile.ts';
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
import type { JsonStore } from '../storage/json-store.ts';
import { DeviceKnowledge, type Occasion } from './device-knowledge.ts';
import { KeptProfiles } from './kept-profiles.ts';
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
  /** What earlier visits measured of the device. */
  readonly kept: KeptProfiles;
  readonly #clock: Clock;
  readonly #device: DeviceKnowledge;
  #endpoint: EndpointProfile | undefined;
  #tokenShare = TOKENS_PRIOR_SHARE;
  #tokens: Forecast | undefined;
  readonly #told = new ToldLoad();

  constructor(manifest: Manifest, profiles: JsonStore, clock: Clock) {
    this.#manifest = manifest;
    this.kept = new KeptProfiles(manifest, profiles, clock);
    this.#clock = clock;
    this.#device = new DeviceKnowledge(manifest, this.kept, clock);
  }

  /** The measured costs of this device, at the pace that is forecast for the next request. */
  get device(): SideProfile {
    return this.#device.next;
  }

  /** As measured, with how often. */
  get learned(): LearnedProfile {
    return this.#device.learned;
  }

  get endpoint(): EndpointSide {
    this.#endpoint ??= endpointPrior(this.device);
    return endpointSide(this.#endpoint);
  }

  /** Without a stored profile what is learned stays in memory. */
  useDevice(learned: LearnedProfile, profile?: DeviceProfile): void {
    this.#device.use(learned, profile);
    const early = this.#told.takeEarly();
    if (early !== undefined) this.observeLoad(early);
  }

  /** Ms since anything was measured on the device. */
  get sinceDeviceMs(): number {
    return this.#device.sinceMs;
  }

  /** Whether the device's costs are those of its opening, which may be far too high; a mere guess is no bound. */
  get isDeviceDoubted(): boolean {
    return this.#device.isDoubted;
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
      this.#device.observeAtLeast(ratio, workload);
      return;
    }
    const { side, queueMs } = this.endpoint;
    const segments = this.#device.expected(side, workload).map(({ segment, phase, ms, runs }) => {
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

  /** Corrects the device's costs by what a request took there, or a look at it, and stores them. */
  observeDevice(
    segmentMs: Readonly<Record<string, number>>,
    workload: Workload,
    when: Occasion = 'request',
  ): Promise<void> {
    return this.#device.observe(segmentMs, workload, when);
  }

  /** Told of what others' requests took at the endpoint: at once what is known, then what is heard. */
  onServed(listener: (pace: ServedPace) => void): void {
    this.#told.listen(listener);
  }

  /** What the endpoint says of itself with a hello or a pong. */
  observeLoad(load: ModelLoad): void {
    if (!this.#device.isMeasured) {
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
}
