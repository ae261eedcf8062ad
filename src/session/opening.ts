/** What a session plans by when it opens: its own measurement, or what a fleet told of such devices before that ended. */
import { fleetProfile } from '../device/fleet-prior.ts';
import type { FleetPrior } from '../fleet/messages.ts';
import { CALIBRATION_BLOCKS } from './calibrate.ts';
import type { Experience } from './experience.ts';
import { measureDevice, providerTools } from './measuring.ts';
import type { Shared } from './parts.ts';
import { guessProvider, type Measured } from './providers.ts';
import type { Turns } from './turns.ts';
import { inBackground } from './waiting.ts';

/**
 * Octaves: of a class that is less alike than this a session rather waits for its own measurement. Off by four
 * times is what most plans can bear.
 */
export const MAX_PRIOR_SPREAD = 2;

export interface Opening {
  readonly measured: Measured;
  /** Present when `measured` is a guess: measures, between requests, and resolves with what is known then. */
  readonly settle?: (turns: Turns, stop: AbortSignal) => Promise<Measured>;
}

/** The device's costs are in `knowledge` when it resolves. Throws what measuring throws, and `aborted`. */
export async function openDevice(
  shared: Shared,
  experience: Experience,
  signal: AbortSignal | undefined,
): Promise<Opening> {
  const { knowledge } = shared;
  const opening = await firstOf(shared, experience, signal);
  const { learned, profile } = opening.measured;
  knowledge.useDevice(learned, profile);
  return opening;
}

async function firstOf(
  shared: Shared,
  experience: Experience,
  signal: AbortSignal | undefined,
): Promise<Opening> {
  if (!experience.isShared || (await isKnown(shared)))
    return { measured: await measureDevice(shared, signal) };
  const enough = new AbortController();
  const over = signal === undefined ? enough.signal : AbortSignal.any([enough.signal, signal]);
  const measuring = measureDevice(shared, over).then((measured): Opening => ({ measured }));
  const asked = experience.prior();
  const told = asked.then((prior): Opening | Promise<Opening> => {
    if (prior === undefined || prior.spread > MAX_PRIOR_SPREAD) return measuring;
    enough.abort();
    const settle: NonNullable<Opening['settle']> = async (turns, stop) => {
      // What it still runs on the device ends first.
      await measuring.catch(() => undefined);
      return measureLater(shared, turns, stop);
    };
    return { measured: expected(shared, prior), settle };
  });
  const first = await Promise.race([measuring, told]);
  // Nothing could be measured, and nobody has told anything yet: the guess gets better when somebody does.
  if (first.settle === undefined && isGuess(first)) inBackground(asked.then((prior) => adopt(shared, prior)));
  return first;
}

function adopt(shared: Shared, prior: FleetPrior | undefined): void {
  const { knowledge } = shared;
  if (prior === undefined || knowledge.device.confidence > 0) return;
  const { learned, profile } = expected(shared, prior);
  knowledge.useDevice(learned, profile);
}

function isGuess({ measured }: Opening): boolean {
  return measured.learned.side.confidence === 0;
}

async function isKnown({ parts, device, knowledge }: Shared): Promise<boolean> {
  const { provider, threads } = device.runner;
  const { modelId, agent } = parts;
  return (await knowledge.recall({ model: modelId, provider, threads, agent })) !== undefined;
}

/** With an empty profile of its own, so that what is measured from here on is kept. */
function expected(shared: Shared, { octaves }: FleetPrior): Measured {
  const { runner } = shared.device;
  const { profile, ms } = guessProvider(runner, providerTools(shared));
  return { learned: fleetProfile(shared.parts.manifest, runner.provider, octaves), profile, ms };
}

async function measureLater(shared: Shared, turns: Turns, stop: AbortSignal): Promise<Measured> {
  const { device, knowledge, parts } = shared;
  // Their way over the link keeps no request waiting; only the measurement itself takes a turn.
  await turns.idle();
  const files = device.files(Math.min(CALIBRATION_BLOCKS, parts.manifest.blocks.length));
  await device.use((runner) => runner.fetchFiles(files, { signal: stop }));
  return turns.take(async () => {
    // A request that ran here meanwhile has told more, and has blocks loaded that measuring would unload.
    if (knowledge.device.confidence > 0) {
      return { ...guessProvider(device.runner, providerTools(shared)), learned: knowledge.learned };
    }
    const measured = await measureDevice(shared, stop);
    if (measured.learned.side.confidence > 0) knowledge.useDevice(measured.learned, measured.profile);
    return measured;
  }, stop);
}
