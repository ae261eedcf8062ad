/** Seeded randomness for worlds that must come again. */
export interface Random {
  /** In `[0, 1)`. */
  next(): number;
  between(low: number, high: number): number;
  /** Evenly in the logarithm: as many between 1 and 10 as between 10 and 100. */
  logBetween(low: number, high: number): number;
  /** A factor round 1 whose logarithm has this deviation. */
  factor(deviation: number): number;
  pick<T>(values: readonly [T, ...T[]]): T;
}

/** Mulberry32: one 32-bit word of state, which is plenty for a few thousand draws. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let word = Math.imul(state ^ (state >>> 15), state | 1);
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61);
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32;
  };
  const between = (low: number, high: number): number => low + (high - low) * next();
  return {
    next,
    between,
    logBetween: (low, high) => Math.exp(between(Math.log(low), Math.log(high))),
    // Box and Muller; 1 - next() is never 0.
    factor: (deviation) =>
      Math.exp(deviation * Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next())),
    pick: (values) => values[Math.floor(next() * values.length)] ?? values[0],
  };
}
