/**
 * A small request of our own, once the whole model is here and nobody is waiting: what the first blocks
 * could not tell (a decoder's steps, above all) is measured before the next plan rests on a guess.
 */
import { sampleFeeds, unitsFor } from '../core/sample-feeds.ts';
import type { Manifest, OnceStage } from '../package/manifest.ts';
import { stageAt } from '../package/segments.ts';
import type { Workload } from '../planner/types.ts';
import type { DeviceRunner } from '../runtime/runner.ts';
import type { Shared } from './parts.ts';

/** Rows (frames) of the rehearsal, and tokens of its answer: enough to see each phase run warm. */
const REHEARSAL = { rows: 48, tokens: 4 };

/** Of a mere look whether the device is as fast as it was: as little as shows that, for it may be made often. */
const RECHECK = { rows: 12, tokens: 1 };

/** From this confidence on every block has been seen to run, on this visit or an earlier one. */
export const KNOWN_CONFIDENCE = 0.4;

/**
 * A browser compiles WASM quickly first and well later: the first runs take up to four times as long as those that
 * follow. So it is run until so many in a row bring no gain, and these count.
 */
const SETTLED_RUNS = 2;
const GAIN = 0.9;

/** Ends it on devices that are slow, and on those whose times only ever get better. */
const MAX_REHEARSALS = 16;
const REHEARSAL_BUDGET_MS = 3_000;

/** All blocks must be loaded. Ends early when the signal fires; failures are for whoever asks next. */
export async function rehearse(shared: Shared, signal: AbortSignal): Promise<void> {
  const { parts, knowledge } = shared;
  const { manifest, clock } = parts;
  const stage = stageAt(manifest, 0);
  if (stage.kind !== 'once' || !canRehearse(manifest)) return;
  if (knowledge.device.confidence >= KNOWN_CONFIDENCE) return;
  const began = clock.now();
  const settled: Rehearsed[] = [];
  let least = Infinity;
  for (let run = 0; run < MAX_REHEARSALS && settled.length < SETTLED_RUNS; run += 1) {
    const rehearsed = await shared.device.use((runner) => rehearseOnce(runner, stage, REHEARSAL, signal));
    if (rehearsed.ms < GAIN * least) settled.length = 0;
    // The first one allocates: it only says what the next is compared with.
    else settled.push(rehearsed);
    least = Math.min(least, rehearsed.ms);
    if (run > 0 && clock.now() - began > REHEARSAL_BUDGET_MS) {
      if (settled.length === 0) settled.push(rehearsed);
      break;
    }
  }
  for (const { segmentMs, done } of settled) await knowledge.observeDevice(segmentMs, done, 'opening');
}

/**
 * One such request, to see whether the device is as fast as it was. Resolves false where the model is not
 * built here, and so nothing was run.
 */
export async function recheck(shared: Shared, signal: AbortSignal): Promise<boolean> {
  const { manifest } = shared.parts;
  const stage = stageAt(manifest, 0);
  if (stage.kind !== 'once' || !canRehearse(manifest)) return false;
  if (!shared.device.isBuilt(manifest.blocks.length)) return false;
  // A look is not worth a wait while it holds a turn.
  if (!shared.device.isFree) return false;
  // A worker that died is for the next request to find: nobody waits for this one.
  const { segmentMs, done } = await rehearseOnce(shared.device.runner, stage, RECHECK, signal);
  await shared.knowledge.observeDevice(segmentMs, done, 'look');
  return true;
}

function canRehearse({ generation, stages }: Manifest): boolean {
  return generation !== undefined || stages.every(({ kind }) => kind === 'once');
}

interface Rehearsed {
  readonly segmentMs: Readonly<Record<string, number>>;
  readonly done: Workload;
  /** Inside the runtime. */
  readonly ms: number;
}

async function rehearseOnce(
  runner: DeviceRunner,
  stage: OnceStage,
  size: typeof REHEARSAL,
  signal: AbortSignal,
): Promise<Rehearsed> {
  const units = unitsFor(stage, size.rows);
  const request = { inputs: sampleFeeds(stage, units), prefix: [], maxTokens: size.tokens };
  const { tokens, segmentMs } = await runner.generate(request, { onToken: () => undefined, signal });
  // As many steps as there are tokens when the bound ended it; one more when the model did.
  const steps = Math.min(size.tokens, tokens.length + 1);
  const ms = Object.values(segmentMs).reduce((sum, one) => sum + one, 0);
  return { segmentMs, done: { units, tokens: steps - 1 }, ms };
}
