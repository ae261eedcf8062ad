/** What earlier visits measured of this device, in a store that may fail. */
import type { Clock } from '../core/clock.ts';
import { fitProfile, type Measurement } from '../device/fit.ts';
import { fadeProfile, type LearnedProfile } from '../device/learned-profile.ts';
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
import { isIsthmusError } from '../errors.ts';
import type { Manifest } from '../package/manifest.ts';
import type { ExecutionProvider } from '../runtime/runner.ts';
import type { JsonStore } from '../storage/json-store.ts';

export class KeptProfiles {
  readonly #manifest: Manifest;
  readonly #store: JsonStore;
  readonly #clock: Clock;

  constructor(manifest: Manifest, store: JsonStore, clock: Clock) {
    this.#manifest = manifest;
    this.#store = store;
    this.#clock = clock;
  }

  /** What an earlier visit measured, or `undefined`. */
  async recall(key: ProfileKey): Promise<DeviceProfile | undefined> {
    const profile = parseProfile(await this.#read(profileId(key)), key);
    return profile === undefined || isStale(profile, this.#clock.epoch()) || profile.measurements.length === 0
      ? undefined
      : profile;
  }

  /** A new profile of newly taken measurements, stored. */
  async remember(key: ProfileKey, measurements: readonly Measurement[]): Promise<DeviceProfile> {
    const profile = this.extended(newProfile(key, this.#clock.epoch()), measurements);
    await this.write(profile);
    return profile;
  }

  /** The profile with further measurements; not stored yet. */
  extended(profile: DeviceProfile, measurements: readonly Measurement[]): DeviceProfile {
    return addMeasurements(profile, measurements, this.#clock.epoch());
  }

  fit(profile: DeviceProfile, provider: ExecutionProvider): LearnedProfile {
    const learned = fitProfile(this.#manifest, provider, profile.measurements);
    return fadeProfile(learned, profileAgeMs(profile, this.#clock.epoch()) / PROFILE_HALF_LIFE_MS);
  }

  /** A store that fails costs a measurement, not the session. */
  async #read(id: string): Promise<unknown> {
    try {
      return await this.#store.get(id);
    } catch (error) {
      if (!isIsthmusError(error)) throw error;
      return undefined;
    }
  }

  async write(profile: DeviceProfile): Promise<void> {
    try {
      await this.#store.set(profileId(profile.key), serialiseProfile(profile));
    } catch (error) {
      if (!isIsthmusError(error)) throw error;
    }
  }
}
