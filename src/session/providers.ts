/** Which execution provider to run on: measured, remembered, and replaced when a better one is found. */
import type { Clock } from '../core/clock.ts';
import { chooseProvider, type ProviderCandidate } from '../device/choose-provider.ts';
import type { LearnedProfile } from '../device/learned-profile.ts';
import { type DeviceProfile, newProfile } from '../device/profile.ts';
import { IsthmusError, toIsthmusError } from '../errors.ts';
import type { Manifest } from '../package/manifest.ts';
import type { Workload } from '../planner/types.ts';
import type { DeviceRunner, ExecutionProvider } from '../runtime/runner.ts';
import { calibrate } from './calibrate.ts';
import type { Knowledge } from './knowledge.ts';
import type { SessionEvent } from './types.ts';
import { orAborted } from './waiting.ts';

/** A second provider may take this many times as long to be measured as the first took, and then loses. */
const SLOWER_LOSES = 10;

/** Ms that a provider always gets: shaders compile, a worker starts. */
const MIN_PROVIDER_MS = 5_000;

export interface ProviderTools {
  readonly manifest: Manifest;
  readonly knowledge: Knowledge;
  readonly clock: Clock;
  /** A signal that aborts after so many ms. */
  readonly timeout: (ms: number) => AbortSignal;
  /** SHA-256 of what identifies the model's contents. */
  readonly model: string;
  /** The user agent: another browser has another speed. */
  readonly agent: string;
  readonly onEvent: (event: SessionEvent) => void;
}

export interface Measured {
  readonly learned: LearnedProfile;
  readonly profile: DeviceProfile;
  readonly ms: number;
}

/** The stored profile of a provider, or a fresh measurement on `runner`. */
export async function measureProvider(
  runner: DeviceRunner,
  tools: ProviderTools,
  signal?: AbortSignal,
): Promise<Measured> {
  const { knowledge, clock, manifest, model, agent, onEvent } = tools;
  const { provider, threads } = runner;
  const key = { model, provider, threads, agent };
  const started = clock.now();
  const recalled = await knowledge.kept.recall(key);
  let profile = recalled ?? newProfile(key, clock.epoch());
  if (recalled === undefined) {
    const measurements = await calibrate(manifest, runner, {
      clock,
      ...(signal === undefined ? {} : { signal }),
    });
    profile = await knowledge.kept.remember(key, measurements);
  }
  const ms = clock.now() - started;
  onEvent({ type: 'profile', provider, ms, cached: recalled !== undefined });
  return { learned: knowledge.kept.fit(profile, provider), profile, ms };
}

/** Costs by sizes alone, where nothing can be measured (no weights here and no way to get them). */
export function guessProvider(runner: DeviceRunner, tools: ProviderTools): Measured {
  const { knowledge, clock, model, agent } = tools;
  const { provider, threads } = runner;
  const profile = newProfile({ model, provider, threads, agent }, clock.epoch());
  return { learned: knowledge.kept.fit(profile, provider), profile, ms: 0 };
}

export interface Rival {
  readonly provider: ExecutionProvider;
  readonly start: () => Promise<DeviceRunner>;
}

/**
 * Measures a rival of the provider in use, on the same blocks. Resolves with its runner when it is faster
 * on `workload`, else `undefined`, and then the rival has been ended; so it has when `stop` fires.
 */
export async function tryRival(
  current: { readonly provider: ExecutionProvider; readonly measured: Measured },
  rival: Rival,
  workload: Workload,
  tools: ProviderTools,
  stop: AbortSignal,
): Promise<{ readonly runner: DeviceRunner; readonly measured: Measured } | undefined> {
  const limitMs = Math.max(MIN_PROVIDER_MS, current.measured.ms * SLOWER_LOSES);
  const deadline = tools.timeout(limitMs);
  const late = (): IsthmusError =>
    new IsthmusError('no-provider', `it was not measured within ${Math.round(limitMs)} ms`);
  const stopped = (): IsthmusError => new IsthmusError('closed', 'the session was closed');
  // A run on a GPU cannot be stopped, nor can a worker that starts: the wait for them can.
  const inTime = <T>(work: Promise<T>): Promise<T> =>
    orAborted(orAborted(work, deadline, late), stop, stopped);
  const starting = rival.start();
  let measured: Measured | undefined;
  let candidate: ProviderCandidate;
  try {
    const runner = await inTime(starting);
    measured = await inTime(measureProvider(runner, tools, deadline));
    candidate = { provider: rival.provider, side: measured.learned.side };
  } catch (error) {
    candidate = { provider: rival.provider, failure: toIsthmusError(error).message };
  }
  const choice = chooseProvider(
    [{ provider: current.provider, side: current.measured.learned.side }, candidate],
    tools.manifest,
    workload,
  );
  tools.onEvent({ type: 'provider', provider: choice.provider, reason: choice.reason });
  if (choice.provider === rival.provider && measured !== undefined) {
    return { runner: await starting, measured };
  }
  // One that starts late is ended when it has started; nobody waits for that.
  starting.then((runner) => runner.close()).catch(() => undefined);
  return undefined;
}
