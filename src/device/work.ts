/**
 * How much work a manifest's blocks stand for, read from what the importer wrote down. Only used to
 * share out a measured time among blocks that were measured together, or not at all: measured times
 * always win over these proxies.
 */
import type { Phase } from '../core/span.ts';
import { IsthmusError } from '../errors.ts';
import type { Manifest, Stage } from '../package/manifest.ts';

/**
 * Weight of `weightBytes` against `nodes` in a block's share of its stage. Matrix products dominate
 * transformer blocks and read each weight once per row, so bytes count most; the rest stands for the
 * fixed cost of dispatching a node.
 */
const WEIGHT_BYTES_SHARE = 0.8;

export function phasesOf(stage: Stage): readonly Phase[] {
  if (stage.kind === 'once') return ['once'];
  return stage.graphs.init === undefined ? ['step'] : ['init', 'step'];
}

/** The stage of every block, by block index. Throws `bad-package` when a block names no stage. */
export function stageIndices(manifest: Manifest): readonly number[] {
  return manifest.blocks.map((block) => {
    if (manifest.stages[block.stage] === undefined) {
      throw new IsthmusError(
        'bad-package',
        `block ${block.index} names stage ${block.stage}, which is not there`,
      );
    }
    return block.stage;
  });
}

/**
 * Relative work of each block of the manifest within its own stage; the mean over a stage is 1.
 * Always above 0, so that a multiplicative correction can reach every block.
 */
export function workShares(manifest: Manifest): readonly number[] {
  const stages = stageIndices(manifest);
  const count = manifest.stages.map(() => 0);
  const bytes = manifest.stages.map(() => 0);
  const nodes = manifest.stages.map(() => 0);
  manifest.blocks.forEach((block, index) => {
    const stage = stages[index] ?? 0;
    count[stage] = (count[stage] ?? 0) + 1;
    bytes[stage] = (bytes[stage] ?? 0) + block.weightBytes;
    nodes[stage] = (nodes[stage] ?? 0) + block.nodes;
  });
  return manifest.blocks.map((block, index) => {
    const stage = stages[index] ?? 0;
    const blocks = count[stage] ?? 1;
    const relative = (value: number, total: number | undefined) =>
      total === undefined || total <= 0 ? 1 : (value * blocks) / total;
    const share =
      WEIGHT_BYTES_SHARE * relative(block.weightBytes, bytes[stage]) +
      (1 - WEIGHT_BYTES_SHARE) * relative(block.nodes, nodes[stage]);
    return Math.max(share, MIN_SHARE);
  });
}

/** A block without weights and nodes still moves tensors. */
const MIN_SHARE = 1e-3;
