/** A model of the same kind with another number of blocks: what decisions about deeper models are timed and counted on. */
import type { Manifest } from '../package/manifest.ts';

/** Each stage keeps its share of the blocks; a new block is like the old one in its place. At least the old number. */
export function deepened(manifest: Manifest, blocks: number): Manifest {
  const old = manifest.blocks.length;
  const count = Math.max(old, Math.round(blocks));
  const oldOf = (index: number): number => Math.floor((index * old) / count);
  const newOf = (index: number): number => Math.ceil((index * count) / old);
  const indices = Array.from({ length: count }, (_, index) => index);
  return {
    ...manifest,
    stages: manifest.stages.map((stage) => ({ ...stage, from: newOf(stage.from), to: newOf(stage.to) })),
    blocks: indices.flatMap((index) => {
      const block = manifest.blocks[oldOf(index)];
      return block === undefined ? [] : [{ ...block, index }];
    }),
    cuts: [...indices, count].flatMap((cut) => {
      const like = manifest.cuts[cut === count ? old : oldOf(cut)];
      return like === undefined ? [] : [{ ...like, cut }];
    }),
  };
}
