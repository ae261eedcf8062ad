/**
 * A small request of our own, once the whole model is here and nobody is waiting: what the first blocks
 * could not tell (a decoder's steps, above all) is measured before the next plan rests on a guess.
 */

import { stageAt } from '../package/segments.ts';
import { sampleFeeds, unitsFor } from './calibrate.ts';
import type { Shared } from './parts.ts';

/** Rows (frames) of the rehearsal, and tokens of its answer: enough to see each phase run warm. */
const REHEARSAL_ROWS = 48;
const REHEARSAL_TOKENS = 4;

/** From this confidence on every block has been seen to run, on this visit or an earlier one. */
const KNOWN_CONFIDENCE = 0.4;

/** Runs whose times count; the one before them allocates. */
const REHEARSALS = 2;

/** All blocks must be loaded. Ends early when the signal fires; failures are for whoever asks next. */
export async function rehearse({ parts, device, knowledge }: Shared, signal: AbortSignal): Promise<void> {
  const { manifest } = parts;
  const stage = stageAt(manifest, 0);
  const canLoop = manifest.generation !== undefined || manifest.stages.every(({ kind }) => kind === 'once');
  if (stage.kind !== 'once' || !canLoop || knowledge.device.confidence >= KNOWN_CONFIDENCE) return;
  const units = unitsFor(stage, REHEARSAL_ROWS);
  for (let run = 0; run <= REHEARSALS; run += 1) {
    const request = { inputs: sampleFeeds(stage, units), prefix: [], maxTokens: REHEARSAL_TOKENS };
    const { tokens, segmentMs } = await device.use((runner) =>
      runner.generate(request, { onToken: () => undefined, signal }),
    );
    if (run === 0) continue;
    // As many steps as there are tokens when the bound ended it; one more when the model did.
    const steps = Math.min(REHEARSAL_TOKENS, tokens.length + 1);
    await knowledge.observeDevice(segmentMs, { units, tokens: steps - 1 });
  }
}
