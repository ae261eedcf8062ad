/**
 * What is stored of a device between visits: the measurements, not the costs fitted to them, so
 * that a better fit can use old data. What comes back from storage is not trusted.
 */
import { PHASES, type Phase, type Segment } from '../core/span.ts';
import type { ExecutionProvider } from '../runtime/runner.ts';
import type { Measurement } from './fit.ts';
import { isPlausibleMs } from './learned-profile.ts';

/** Raised when the meaning of a stored profile changes; others are measured again. */
export const PROFILE_VERSION = 1;

/** What a measurement holds for. Anything else may change the times by an order of magnitude. */
export interface ProfileKey {
  /** SHA-256 of the package manifest, lower-case hex. */
  readonly model: string;
  readonly provider: ExecutionProvider;
  readonly threads: number;
  /** The user agent, or the runtime and CPU outside a browser. */
  readonly agent: string;
}

export interface DeviceProfile {
  readonly version: typeof PROFILE_VERSION;
  readonly key: ProfileKey;
  readonly measurements: readonly Measurement[];
  /** Ms since the Unix epoch of the latest measurement. */
  readonly measuredAt: number;
}

/** Latest measurements kept: every block of a large model twice. Stops a profile that grows for ever. */
export const MAX_MEASUREMENTS = 512;

/** A stored profile of 512 measurements takes about 60 kB; more is not ours. */
export const MAX_PROFILE_CHARS = 256 * 1024;

/** Browsers update monthly, and with them their engines: older measurements are taken again. */
export const PROFILE_MAX_AGE_MS = 30 * 24 * 3_600_000;

/** Half of a profile's confidence is gone after a week; see `fadeProfile`. */
export const PROFILE_HALF_LIFE_MS = 7 * 24 * 3_600_000;

/** Clocks get set back: a profile from further in the future than this cannot be dated. */
const MAX_CLOCK_SKEW_MS = 24 * 3_600_000;

const PROVIDERS: readonly ExecutionProvider[] = ['wasm', 'webgpu', 'cpu'];

/** One string per key, for the store. */
export function profileId(key: ProfileKey): string {
  return JSON.stringify([key.model, key.provider, key.threads, key.agent]);
}

/** `profile` with newer measurements; one of the same segment, phase and size is replaced. */
export function addMeasurements(
  profile: DeviceProfile,
  added: readonly Measurement[],
  epochMs: number,
): DeviceProfile {
  const byWhat = new Map<string, Measurement>();
  for (const one of [...profile.measurements, ...added]) {
    const what = `${one.segment.stage}:${one.segment.from}-${one.segment.to}:${one.phase}:${one.units}`;
    // Deleting first moves it to the end: the oldest are dropped first.
    byWhat.delete(what);
    byWhat.set(what, one);
  }
  const measurements = [...byWhat.values()].slice(-MAX_MEASUREMENTS);
  return { ...profile, measurements, measuredAt: epochMs };
}

export function newProfile(key: ProfileKey, epochMs: number): DeviceProfile {
  return { version: PROFILE_VERSION, key, measurements: [], measuredAt: epochMs };
}

export function profileAgeMs(profile: DeviceProfile, epochMs: number): number {
  return Math.max(0, epochMs - profile.measuredAt);
}

/** True when the device should be measured again before the profile is believed. */
export function isStale(profile: DeviceProfile, epochMs: number): boolean {
  return (
    profileAgeMs(profile, epochMs) > PROFILE_MAX_AGE_MS || profile.measuredAt - epochMs > MAX_CLOCK_SKEW_MS
  );
}

export function serialiseProfile(profile: DeviceProfile): string {
  return JSON.stringify(profile);
}

/**
 * A profile from what a store gave back, or `undefined` when it is not one, is of another version
 * or was made for another key. Never throws.
 */
export function parseProfile(stored: unknown, key: ProfileKey): DeviceProfile | undefined {
  if (typeof stored !== 'string' || stored.length > MAX_PROFILE_CHARS) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(stored);
  } catch {
    return undefined;
  }
  if (!isRecord(value) || value.version !== PROFILE_VERSION) return undefined;
  const { measuredAt, measurements } = value;
  const found = parseKey(value.key);
  if (found === undefined || profileId(found) !== profileId(key)) return undefined;
  if (typeof measuredAt !== 'number' || !Number.isFinite(measuredAt)) return undefined;
  if (!Array.isArray(measurements) || measurements.length > MAX_MEASUREMENTS) return undefined;
  const parsed = measurements.map(parseMeasurement);
  if (!parsed.every((one) => one !== undefined)) return undefined;
  return { version: PROFILE_VERSION, key: found, measurements: parsed, measuredAt };
}

function parseKey(value: unknown): ProfileKey | undefined {
  if (!isRecord(value)) return undefined;
  const { model, provider, threads, agent } = value;
  const known = PROVIDERS.find((name) => name === provider);
  if (typeof model !== 'string' || typeof agent !== 'string' || known === undefined) return undefined;
  if (!isCount(threads) || threads < 1) return undefined;
  return { model, provider: known, threads, agent };
}

function parseMeasurement(value: unknown): Measurement | undefined {
  if (!isRecord(value)) return undefined;
  const { segment, phase, units, ms } = value;
  const parsed = parseSegment(segment);
  const known: Phase | undefined = PHASES.find((name) => name === phase);
  if (parsed === undefined || known === undefined) return undefined;
  if (typeof units !== 'number' || !Number.isFinite(units) || units < 0) return undefined;
  if (typeof ms !== 'number' || !isPlausibleMs(ms)) return undefined;
  return { segment: parsed, phase: known, units, ms };
}

function parseSegment(value: unknown): Segment | undefined {
  if (!isRecord(value)) return undefined;
  const { stage, from, to } = value;
  if (!isCount(stage) || !isCount(from) || !isCount(to) || from >= to) return undefined;
  return { stage, from, to };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
