/** What a loop's passes took, evened out; pure. */

export interface SeenPass {
  readonly rows: number;
  readonly ms: number;
}

/**
 * Each pass with the mean time of those that had as many rows: a pause in one of them tells nothing of the place. Fewest
 * rows first, because what further rows take is told by what a step takes.
 */
export function evenPasses(passes: readonly SeenPass[]): readonly SeenPass[] {
  const byRows = new Map<number, SeenPass[]>();
  for (const pass of passes) byRows.set(pass.rows, [...(byRows.get(pass.rows) ?? []), pass]);
  return [...byRows]
    .sort(([a], [b]) => a - b)
    .flatMap(([rows, alike]) => {
      const ms = alike.reduce((sum, one) => sum + one.ms, 0) / alike.length;
      return alike.map(() => ({ rows, ms }));
    });
}
