/**
 * A small request of our own, once the whole model is here and nobody is waiting: what the first blocks
 * could not tell (a decoder's steps, above all) is measured before the next plan rests on a guess.
 */

import type { Manifest, OnceStage } from '../package/manifest.ts';
import { stageAt } from '../package/segments.ts';
import { sampleFeeds, unitsFor } from './calibrate.ts';
import type { Shared } from './parts.ts';

/** Rows (frames) of the rehearsal, and tokens of its answer: enough to see each phase run warm. */
const REHEARSAL = { rows: 48, tokens: 4 };

/** Of a mere look whether the device is as fast as it was: as little as shows that, for it may be made often. */
const RECHECK = { rows: 12, tokens: 1 };

/** From this confidence on every block has been seen to run, on this visit or an earlier one. */
const KNOWN_CONFIDENCE = 0.4;

/** Runs whose times count; the one before them allocates. */
const REHEARSALS = 2;

/** All blocks must be loaded. Ends early when the signal fires; failures are for whoever asks next. */
export async function rehearse(shared: Shared, signal: AbortSignal): Promise<void> {
  const { parts, knowledge } = shared;
  const { manifest } = parts;
  const stage = stageAt(manifest, 0);
  if (stage.kind !== 'once' || !canRehearse(manifest)) return;
  if (knowledge.device.confidence >= KNOWN_CONFIDENCE) return;
  for (let run = 0; run <= REHEARSALS; run += 1)
    await rehearseOnce(shared, stage, REHEARSAL, run > 0, signal);
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
  await rehearseOnce(shared, stage, RECHECK, true, signal);
  return true;
}

function canRehearse({ generation, stages }: Manifest): boolean {
  return generation !== undefined || stages.every(({ kind }) => kind === 'once');
}

async function rehearseOnce(
  { device, knowledge }: Shared,
  stage: OnceStage,
  size: typeof REHEARSAL,
  counts: boolean,
  signal: AbortSignal,
): Promise<void> {
  const units = unitsFor(stage, size.rows);
  const request = { inputs: sampleFeeds(stage, units), prefix: [], maxTokens: size.tokens };
  const { tokens, segmentMs } = await device.use((runner) =>
    runner.generate(request, { onToken: () => undefined, signal }),
  );
  if (!counts) return;
  // As many steps as there are tokens when the bound ended it; one more when the model did.
  const steps = Math.min(size.tokens, tokens.length + 1);
  await knowledge.observeDevice(segmentMs, { units, tokens: steps - 1 });
}
