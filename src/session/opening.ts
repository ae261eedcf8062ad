/**
 * What a session plans by when it opens. A device that is known is planned for as it is known. One that is new is
 * measured first where nothing has to be fetched for that, and where nothing but this device could answer; else it is
 * guessed at, and measured behind the first requests (`first-measurement.ts`).
 */
import { fleetProfile } from '../device/fleet-prior.ts';
import type { FleetPrior } from '../fleet/messages.ts';
import { CALIBRATION_BLOCKS } from './calibrate.ts';
import type { Experience } from './experience.ts';
import { isKnown, measureDevice, providerTools } from './measuring.ts';
import type { Shared } from './parts.ts';
import { guessProvider, type Measured } from './providers.ts';
import { inBackground, orAborted } from './waiting.ts';

/**
 * Octaves: of a class that is less alike than this a session rather waits for its own measurement. Off by four
 * times is what most plans can bear.
 */
export const MAX_PRIOR_SPREAD = 2;

/** Ms until a device that waits for its endpoint begins to fetch what it needs to do without. */
const CONNECT_WAIT_MS = 1_500;

export interface Opening {
  readonly measured: Measured;
  /** Present when `measured` is a guess: resolves when nothing of a measurement that was given up runs any more. */
  readonly guessed?: Promise<unknown>;
  /** What others tell of such devices, where that is yet to come. */
  readonly toBeTold?: Promise<FleetPrior | undefined>;
}

/**
 * The device's costs are in `knowledge` when it resolves. `answered`: whether the endpoint has answered, as soon as
 * that is known. Throws what measuring throws, and `aborted`.
 */
export async function openDevice(
  shared: Shared,
  experience: Experience,
  answered: Promise<boolean>,
  signal: AbortSignal | undefined,
): Promise<Opening> {
  const opening = await firstOf(shared, experience, answered, signal);
  const { measured, toBeTold } = opening;
  shared.knowledge.useDevice(measured.learned, measured.profile);
  if (toBeTold !== undefined) inBackground(toBeTold.then((prior) => adopt(shared, prior)));
  return opening;
}

async function firstOf(
  shared: Shared,
  experience: Experience,
  answered: Promise<boolean>,
  signal: AbortSignal | undefined,
): Promise<Opening> {
  const { device, parts, timeout } = shared;
  if (parts.manifest.text !== undefined) {
    // Kernels for text start in no time; a provider that was asked for by name is looked at before all else.
    if (device.runner.provider !== 'wasm') await device.start(signal);
    return { measured: await measureDevice(shared, signal) };
  }
  if (await isKnown(shared)) {
    device.isReturning = true;
    await orAborted(startedOrAnswered(shared, answered), signal);
    return { measured: await measureDevice(shared, signal) };
  }
  const asked = experience.isShared ? experience.prior() : undefined;
  if (!mayWait(shared) || (await canMeasureNow(shared))) return measuredOrTold(shared, asked, signal);
  const late = orAborted(answered, timeout(CONNECT_WAIT_MS)).catch(() => false);
  if (await orAborted(late, signal)) return guessed(shared, asked);
  return measuredOrTold(shared, asked, signal, answered);
}

/** Whether an endpoint may answer before anything can run here. */
function mayWait({ link, options }: Shared): boolean {
  return link !== undefined && options.plan !== 'local';
}

/** Whether nothing has to be fetched for it, as far as that can be told: who has weights has had the runtime. */
async function canMeasureNow({ device, parts }: Shared): Promise<boolean> {
  const files = device.files(Math.min(CALIBRATION_BLOCKS, parts.manifest.blocks.length));
  device.isReturning = await device.has(files);
  return device.isReturning;
}

/** Whoever was here before has the runtime in the browser's cache: it starts at once, for a plan that runs here. */
async function startedOrAnswered(shared: Shared, answered: Promise<boolean>): Promise<void> {
  const starting = shared.device.start();
  if (!mayWait(shared)) return starting;
  const orStarted = answered.then((isThere) => (isThere ? undefined : starting));
  await Promise.race([starting.catch(() => orStarted), orStarted]);
}

function guessed(
  shared: Shared,
  toBeTold: Opening['toBeTold'],
  before: Promise<unknown> = Promise.resolve(),
): Opening {
  const measured = guessProvider(shared.device.runner, providerTools(shared));
  return { measured, guessed: before, ...(toBeTold === undefined ? {} : { toBeTold }) };
}

/** Measures. That is given up when others told enough of such devices, or when the endpoint has answered after all. */
async function measuredOrTold(
  shared: Shared,
  asked: Opening['toBeTold'],
  signal: AbortSignal | undefined,
  answered?: Promise<boolean>,
): Promise<Opening> {
  const enough = new AbortController();
  const over = signal === undefined ? enough.signal : AbortSignal.any([enough.signal, signal]);
  const measuring = measureDevice(shared, over).then((measured): Opening => ({ measured }));
  const rest = measuring.catch(() => undefined);
  const told = asked?.then((prior): Opening | Promise<Opening> => {
    if (prior === undefined || prior.spread > MAX_PRIOR_SPREAD) return measuring;
    enough.abort();
    return { measured: expected(shared, prior), guessed: rest };
  });
  const others = answered?.then((isThere): Opening | Promise<Opening> => {
    if (!isThere) return measuring;
    enough.abort();
    return guessed(shared, asked, rest);
  });
  const first = await Promise.race([measuring, told ?? measuring, others ?? measuring]);
  // Nothing could be measured, and nobody has told anything yet: the guess gets better when somebody does.
  return asked !== undefined && first.guessed === undefined && isGuess(first)
    ? { ...first, toBeTold: asked }
    : first;
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

/** With an empty profile of its own, so that what is measured from here on is kept. */
function expected(shared: Shared, { octaves }: FleetPrior): Measured {
  const { runner } = shared.device;
  const { profile, ms } = guessProvider(runner, providerTools(shared));
  return { learned: fleetProfile(shared.parts.manifest, runner.provider, octaves), profile, ms };
}
