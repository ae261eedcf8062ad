/** Measures the device when a session opens, then looks whether another provider is faster. */
import { type ErrorCode, isIsthmusError } from '../errors.ts';
import type { Shared } from './parts.ts';
import { typicalWorkload } from './planning.ts';
import { guessProvider, type Measured, measureProvider, type ProviderTools, tryRival } from './providers.ts';
import type { Turns } from './turns.ts';

/** Failures to fetch the weights that measuring needs: the device is guessed at until they are here. */
const NOT_HERE: readonly ErrorCode[] = ['endpoint-lost', 'weights-missing', 'missing-shard'];

export async function measureDevice(shared: Shared, signal: AbortSignal | undefined): Promise<Measured> {
  const { device } = shared;
  const tools = providerTools(shared);
  // A text starts at once, where nothing needs this device; its pace is measured when its blocks are here.
  if (shared.parts.manifest.text !== undefined) return guessProvider(device.runner, tools);
  // That it had to come is no time of the provider's.
  if (!(await isKnown(shared))) await device.start(signal);
  try {
    return await measureProvider(device.runner, tools, signal);
  } catch (error) {
    if (!isIsthmusError(error) || !NOT_HERE.includes(error.code)) throw error;
    return guessProvider(device.runner, tools);
  }
}

/** Whether an earlier visit measured it. */
export async function isKnown({ parts, device, knowledge }: Shared): Promise<boolean> {
  const { provider, threads } = device.runner;
  const { modelId, agent } = parts;
  return (await knowledge.kept.recall({ model: modelId, provider, threads, agent })) !== undefined;
}

/** Tries each rival; moves over to one that is faster, between requests. */
export async function seekProvider(
  shared: Shared,
  measured: Measured,
  turns: Turns,
  stop: AbortSignal,
): Promise<void> {
  const { parts, device, knowledge } = shared;
  let current = measured;
  for (const provider of await parts.rivals()) {
    const better = await tryRival(
      { provider: device.runner.provider, measured: current },
      { provider, start: () => parts.startRunner(provider) },
      typicalWorkload(parts.manifest, knowledge),
      providerTools(shared),
      stop,
    );
    if (better === undefined) continue;
    current = better.measured;
    // A turn like any request's: whoever asks meanwhile waits, and finds the new runner in place.
    await turns.take(async () => {
      await device.replace(better.runner);
      knowledge.useDevice(better.measured.learned, better.measured.profile);
    });
  }
}

export function providerTools({ parts, knowledge, emit, timeout }: Shared): ProviderTools {
  const { manifest, clock, modelId, agent } = parts;
  return { manifest, knowledge, clock, timeout, model: modelId, agent, onEvent: emit };
}
