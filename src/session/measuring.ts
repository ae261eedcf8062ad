/** Measures the device when a session opens, then looks whether another provider is faster. */
import { type ErrorCode, isIsthmusError } from '../errors.ts';
import type { Shared } from './parts.ts';
import { typicalWorkload } from './planning.ts';
import { guessProvider, type Measured, measureProvider, type ProviderTools, tryRival } from './providers.ts';
import type { Turns } from './turns.ts';

/** Failures to fetch the weights that measuring needs: the device is guessed at until they are here. */
const NOT_HERE: readonly ErrorCode[] = ['endpoint-lost', 'weights-missing', 'missing-shard'];

export async function measureDevice(shared: Shared, signal: AbortSignal | undefined): Promise<Measured> {
  const { runner } = shared.device;
  const tools = providerTools(shared);
  try {
    return await measureProvider(runner, tools, signal);
  } catch (error) {
    if (!isIsthmusError(error) || !NOT_HERE.includes(error.code)) throw error;
    return guessProvider(runner, tools);
  }
}

/** Tries each rival; moves over to one that is faster, between requests. */
export async function seekProvider(shared: Shared, measured: Measured, turns: Turns): Promise<void> {
  const { parts, device, knowledge } = shared;
  for (const provider of await parts.rivals()) {
    const better = await tryRival(
      { provider: device.runner.provider, measured },
      { provider, start: () => parts.startRunner(provider) },
      typicalWorkload(parts.manifest, knowledge),
      providerTools(shared),
    );
    if (better === undefined) continue;
    await turns.over();
    knowledge.useDevice(better.measured.learned, better.measured.profile);
    await device.replace(better.runner);
  }
}

function providerTools({ parts, knowledge, emit }: Shared): ProviderTools {
  const { manifest, clock, modelId, agent } = parts;
  return { manifest, knowledge, clock, model: modelId, agent, onEvent: emit };
}
