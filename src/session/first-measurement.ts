/**
 * The first measurement of a device that was guessed at when its session opened. It comes behind the first requests:
 * what it needs from the network keeps none of them waiting, and it gives way to whoever asks while it runs.
 */
import { isIsthmusError } from '../errors.ts';
import { CALIBRATION_BLOCKS } from './calibrate.ts';
import { measureDevice, providerTools } from './measuring.ts';
import type { Shared } from './parts.ts';
import { guessProvider, type Measured } from './providers.ts';
import type { Turns } from './turns.ts';
import { fired, orAborted } from './waiting.ts';

/** Ms: who opens a session asks at once more often than not, and a runtime that is fetched beside that is in its way. */
const ASKED_AT_ONCE_MS = 250;

/** Times that it gives way; who asks without end would else never be measured for. */
const MAX_WAYS_GIVEN = 3;

/** Resolves with what is known then. `stop` ends it (`aborted`). Throws what measuring throws. */
export async function measureFirst(shared: Shared, turns: Turns, stop: AbortSignal): Promise<Measured> {
  await isAskedAtOnce(shared, turns, stop);
  await fetchFor(shared, turns, stop);
  for (let given = 0; ; given += 1) {
    await turns.idle();
    try {
      if (given >= MAX_WAYS_GIVEN) return await turns.take(() => measure(shared, stop), stop);
      const work = (asked: AbortSignal): Promise<Measured> => measure(shared, AbortSignal.any([asked, stop]));
      return await turns.takeUntilAsked(work, stop);
    } catch (error) {
      if (!isIsthmusError(error) || error.code !== 'aborted' || stop.aborted) throw error;
    }
  }
}

/** Whether somebody asks for a turn soon; false as well when `stop` fires before. */
export function isAskedAtOnce({ timeout }: Shared, turns: Turns, stop: AbortSignal): Promise<boolean> {
  return Promise.race([
    turns.asked.then(() => true),
    fired(timeout(ASKED_AT_ONCE_MS)).then(() => false),
    fired(stop).then(() => false),
  ]);
}

/**
 * Resolves when a look at the line is in nobody's way. Who has everything here is told by it where to run. Who asks at once
 * and has nothing goes to the endpoint whatever it is like: 40 kB each way before that would be half a second of a slow one.
 */
export async function freeOfFirst(shared: Shared, turns: Turns, stop: AbortSignal): Promise<void> {
  const { device, parts } = shared;
  const files = device.files(parts.manifest.blocks.length);
  if (await device.has(files)) return;
  if (await isAskedAtOnce(shared, turns, stop)) await turns.idle();
}

/** File by file: a request has the link for itself from the next one on. */
async function fetchFor({ device, parts }: Shared, turns: Turns, stop: AbortSignal): Promise<void> {
  const { tokenizer, blocks } = parts.manifest;
  const fetch = async (file: string): Promise<void> => {
    await turns.idle();
    await device.use((runner) => runner.fetchFiles([file], { signal: stop }));
  };
  // An answer cannot be read without it.
  for (const file of Object.values(tokenizer ?? {})) if (file !== undefined) await fetch(file);
  await turns.idle();
  await device.start(stop);
  for (const file of device.files(Math.min(CALIBRATION_BLOCKS, blocks.length))) await fetch(file);
}

async function measure(shared: Shared, over: AbortSignal): Promise<Measured> {
  const { device, knowledge } = shared;
  // A request that ran here meanwhile has told more, and has blocks loaded that measuring would unload.
  if (knowledge.device.confidence > 0) {
    return { ...guessProvider(device.runner, providerTools(shared)), learned: knowledge.learned };
  }
  const measuring = measureDevice(shared, over);
  try {
    const measured = await orAborted(measuring, over);
    if (measured.learned.side.confidence > 0) knowledge.useDevice(measured.learned, measured.profile);
    return measured;
  } catch (error) {
    // A run of the runtime ends, it is not broken off: who runs here next waits for it, and nobody else.
    device.leave(measuring);
    throw error;
  }
}
