/** What the engine of texts is asked for, what it answers, and what it asks of its surroundings. */
import type { Sampling } from '../../core/sampling.ts';
import type { Span } from '../../core/span.ts';
import type { IsthmusError } from '../../errors.ts';
import type { Manifest } from '../../package/manifest.ts';
import type { Goal } from '../../planner/objective.ts';
import type { Lane } from '../../runtime/lane.ts';
import type { Proposals } from './decode-route.ts';
import type { GuessedTrip } from './guess-book.ts';
import type { Situation } from './predict-route.ts';
import type { Leg, PlaceName } from './route.ts';
import type { PlanPeriod, TextPlan } from './types.ts';

/** What lies outside the engine: lanes, weights, the link. */
export interface TextPlaces {
  readonly manifest: Manifest;
  openLane(place: PlaceName, signal?: AbortSignal): Promise<Lane>;
  /** Weights and sessions that a leg needs; resolves when it can run. */
  ready(leg: Leg, signal?: AbortSignal): Promise<void>;
  /** What plans for such a text rest on, brought up to date: weights that came, an endpoint that may be back. */
  refresh(request: Pick<TextRequest, 'plan' | 'fallback' | 'signal'>): Promise<void>;
  /**
   * Told what a call took at the endpoint itself, waiting included and the link not: of each answer as it comes, and
   * of others' as the endpoint tells them. Without it the engine times whole calls.
   */
  onEndpointTimes?(listener: (span: Span, rows: number, ms: number) => void): void;
  link(): Situation['link'];
  hasEndpoint(): boolean;
  canFetch(): boolean;
  missingBytes(leg: Leg): number;
  /** So many of the first blocks could run with the weights that are here, built together with those that will come. */
  blocksHere(): number;
  /** Ms until a leg's blocks that are not built yet can run. */
  buildMs(leg: Leg): number;
  /** Resolves when weights arrived or the endpoint came or went. */
  changed(signal: AbortSignal): Promise<void>;
  /** A lane failed: puts what died aside or starts it anew, so that the next lane has a chance. */
  lost(place: PlaceName, error: IsthmusError): Promise<void>;
}

export interface TextRequest {
  /** The whole text so far: prompt, and earlier turns. */
  readonly tokens: readonly number[];
  readonly sampling: Sampling;
  readonly endTokens: readonly number[];
  readonly maxTokens: number;
  readonly plan: TextPlan;
  readonly goal: Goal;
  readonly move: boolean;
  readonly fallback: boolean;
  readonly proposals: Proposals;
  /** What trips and passes may be expected to bring, by what is known of this text and those before it. */
  readonly trips: (text: readonly number[]) => readonly GuessedTrip[];
  readonly now: () => number;
  readonly pause: (ms: number) => Promise<void>;
  readonly signal?: AbortSignal;
  /** Told by how many ms it is to be shown later (`EvenGaps`). True ends the answer behind this token. */
  readonly onToken: (token: number, holdMs: number) => boolean;
  readonly onPeriod: (period: PlanPeriod) => void;
}

export interface TextOutcome {
  readonly tokens: readonly number[];
  readonly reason: 'end' | 'max-tokens' | 'stopped';
  /** Tokens of the text so far whose state was kept. */
  readonly reused: number;
}
