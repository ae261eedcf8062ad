/** What is believed about a side before anything was measured there. */
import type { Phase } from '../core/span.ts';
import type { Affine, Manifest } from '../package/manifest.ts';
import type { BlockCost, SideProfile } from '../planner/types.ts';
import type { ExecutionProvider } from '../runtime/runner.ts';
import { phasesOf, stageIndices, workShares } from './work.ts';

/**
 * Ms to multiply one row by a megabyte of float32 weights on one WASM thread when many rows run at
 * once: 1.4-2.4 s for 128 rows of 540 MB (the design notes' table) is 0.020-0.035.
 */
const MS_PER_MEGABYTE_ROW = 0.028;

/** A single row reads every weight for little arithmetic: 46 ms for one row of the same 540 MB. */
const SINGLE_ROW_PENALTY = 3;

/**
 * Share of a loop block's weights that its `init` reads: keys and values of cross-attention, 2 of
 * the about 16 equal squares of a decoder block (4 self-attention, 4 cross-attention, 8 feed-forward).
 */
const INIT_WEIGHT_SHARE = 1 / 8;

const BYTES_PER_MEGABYTE = 1e6;

/** Costs by the manifest's sizes alone; confidence 0. */
export function priorSide(manifest: Manifest, provider: ExecutionProvider): SideProfile {
  const shares = workShares(manifest);
  const stages = stageIndices(manifest);
  const blocks = manifest.blocks.map((_, index): BlockCost => {
    const stageIndex = stages[index] ?? 0;
    const stage = manifest.stages[stageIndex];
    if (stage === undefined) return {};
    const peers = manifest.blocks.filter((peer) => peer.stage === stageIndex);
    const bytes = peers.reduce((sum, peer) => sum + peer.weightBytes, 0) / peers.length;
    const row = (Math.max(bytes, 1) / BYTES_PER_MEGABYTE) * (shares[index] ?? 1) * MS_PER_MEGABYTE_ROW;
    const rows: { readonly [phase in Phase]: Affine } = {
      once: stage.kind === 'once' ? stage.rows : { base: 0, perUnit: 0 },
      init: { base: 0, perUnit: INIT_WEIGHT_SHARE },
      step: { base: SINGLE_ROW_PENALTY, perUnit: 0 },
    };
    return Object.fromEntries(
      phasesOf(stage).map((phase) => [
        phase,
        { base: row * Math.max(0, rows[phase].base), perUnit: row * Math.max(0, rows[phase].perUnit) },
      ]),
    );
  });
  return { provider, blocks, confidence: 0 };
}

/** Every cost multiplied by `factor`, with the confidence given. */
export function scaleSide(
  side: SideProfile,
  factor: number,
  overrides: { readonly provider: ExecutionProvider; readonly confidence: number },
): SideProfile {
  return { ...overrides, blocks: side.blocks.map((cost) => scaleCost(cost, () => factor)) };
}

/** A block's costs, each multiplied by the factor for its phase. */
export function scaleCost(cost: BlockCost, factorOf: (phase: Phase) => number): BlockCost {
  const scaled: { -readonly [phase in keyof BlockCost]: BlockCost[phase] } = {};
  for (const phase of ['once', 'init', 'step'] as const) {
    const part = cost[phase];
    if (part === undefined) continue;
    const factor = factorOf(phase);
    scaled[phase] = { base: part.base * factor, perUnit: part.perUnit * factor };
  }
  return scaled;
}
