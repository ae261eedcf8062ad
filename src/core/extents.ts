/** How much goes into each stage of a request, as the manifest's affine rules tell it. */

interface Affine {
  readonly base: number;
  readonly perUnit: number;
}

/** What a manifest says of its stages that matters here. */
interface Staged {
  readonly stages: readonly ({ readonly kind: 'once'; readonly rows: Affine } | { readonly kind: 'loop' })[];
}

/** `base + perUnit * n`, never below 0: an affine fit may dip there for extents near nothing. */
export function affineAt(affine: Affine, n: number): number {
  return Math.max(0, affine.base + affine.perUnit * n);
}

/**
 * The extent of each stage's phases for a request of `units`: units for the first once stage, rows
 * of the previous stage for later ones and for `init`. A loop without a once stage before it has 0.
 */
export function stageExtents({ stages }: Staged, units: number): readonly number[] {
  let extent = units;
  let rows = 0;
  return stages.map((stage) => {
    if (stage.kind === 'loop') return rows;
    const here = extent;
    rows = affineAt(stage.rows, here);
    extent = rows;
    return here;
  });
}
