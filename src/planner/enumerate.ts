/** Every plan that a package allows, before any is priced. */
import { CODECS, type Codec, PHASES } from '../core/span.ts';
import { IsthmusError } from '../errors.ts';
import type { CrossingTensor, Cut, Manifest } from '../package/manifest.ts';
import { hasFeatureRows, hasLossy } from './bytes.ts';
import type { PlanShape } from './types.ts';

/** `auto` lets the planner choose; the others force it. `cut` counts blocks on the device. */
export type ForcedPlan = 'auto' | 'local' | 'remote' | { readonly cut: number; readonly codec?: Codec };

export interface PlanOptions {
  readonly choice: ForcedPlan;
  /** Codecs that may be used unless the choice names one; at least one. */
  readonly codecs: readonly Codec[];
  /** False when no endpoint was given: then everything runs here. */
  readonly hasEndpoint: boolean;
}

/**
 * All plans under `options`, `local` first, then by cut and codec. Empty when a forced plan needs an
 * endpoint and there is none. Throws `bad-option` for a cut that the model does not have and for an
 * empty list of codecs.
 */
export function enumeratePlans(manifest: Manifest, options: PlanOptions): readonly PlanShape[] {
  const { choice, codecs, hasEndpoint } = options;
  const last = manifest.blocks.length;
  if (codecs.length === 0) throw new IsthmusError('bad-option', 'at least one codec must be allowed');
  const all = hasEndpoint ? manifest.cuts.map(({ cut }) => cut) : [last];
  if (choice === 'auto') {
    return all
      .flatMap((cut) => shapesAt(manifest, cut, codecs))
      .sort((a, b) => Number(b.cut === last) - Number(a.cut === last));
  }
  const cut = choice === 'local' ? last : choice === 'remote' ? 0 : choice.cut;
  if (!Number.isSafeInteger(cut) || cut < 0 || cut > last) {
    throw new IsthmusError('bad-option', `the model can be cut at 0 to ${last}, not at ${cut}`, {
      details: { cut, last },
    });
  }
  const forced = typeof choice === 'object' && choice.codec !== undefined ? [choice.codec] : codecs;
  if (!all.includes(cut)) return [];
  const shapes = shapesAt(manifest, cut, forced);
  if (shapes.length > 0) return shapes;
  throw new IsthmusError(
    'bad-option',
    `what crosses at cut ${cut} cannot be written as ${forced.join(' or ')}`,
    {
      details: { cut, codecs: forced },
    },
  );
}

function shapesAt(manifest: Manifest, cut: number, codecs: readonly Codec[]): readonly PlanShape[] {
  if (cut === manifest.blocks.length) return [{ id: 'local', kind: 'local', cut, codec: 'none' }];
  const crosses = cutAt(manifest, cut);
  const lossy = PHASES.some((phase) => hasLossy(crosses.crossings[phase]));
  // Where no tensor may be shortened every codec writes the same bytes: one plan stands for all.
  const suits = (codec: Codec): boolean =>
    codecs.includes(codec) && (codec !== 'int8' || crossingTensors(crosses).every(hasFeatureRows));
  const useful = lossy ? CODECS.filter(suits) : (['fp32'] as const);
  return useful.map((codec) =>
    cut === 0
      ? { id: codec === 'fp32' ? 'remote' : `remote/${codec}`, kind: 'remote', cut, codec }
      : { id: `split@${cut}/${codec}`, kind: 'split', cut, codec },
  );
}

function crossingTensors(cut: Cut): readonly CrossingTensor[] {
  const sent = PHASES.flatMap((phase) => cut.crossings[phase]?.sent ?? []);
  return sent.filter((tensor) => tensor.lossy);
}

/** Throws `bad-package` when the manifest does not describe the cut. */
export function cutAt(manifest: Manifest, cut: number): Cut {
  const found = manifest.cuts[cut];
  if (found === undefined || found.cut !== cut) {
    throw new IsthmusError('bad-package', `the manifest does not describe cut ${cut}`, { details: { cut } });
  }
  return found;
}

/**
 * Names of the tensors that leave the device at a cut, each once. Where a model starts with its loop
 * and the manifest lists nothing for cut 0, what leaves is the token ids.
 */
export function leavingTensors(manifest: Manifest, cut: number): readonly string[] {
  if (cut === manifest.blocks.length) return [];
  const { crossings } = cutAt(manifest, cut);
  const names = PHASES.flatMap((phase) => crossings[phase]?.sent.map(({ name }) => name) ?? []);
  const first = manifest.stages[0];
  if (cut === 0 && names.length === 0 && first?.kind === 'loop') return [first.tokenInput.name];
  return [...new Set(names)];
}
