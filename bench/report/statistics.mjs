/** Order statistics: a busy machine makes a few runs long, and a mean would tell of those. */

/** @param {readonly number[]} values not empty; linear between neighbours */
export function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  const place = (sorted.length - 1) * share;
  const low = Math.floor(place);
  const high = Math.ceil(place);
  return sorted[low] + (sorted[high] - sorted[low]) * (place - low);
}

export const median = (values) => quantile(values, 0.5);

/** Half of the values lie between these two. */
export const spread = (values) => [quantile(values, 0.25), quantile(values, 0.75)];

/** Of the mean of independent values; Infinity of fewer than two. */
export function standardError(values) {
  const { length } = values;
  if (length < 2) return Infinity;
  const mean = values.reduce((sum, value) => sum + value, 0) / length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return Math.sqrt(squares / (length - 1) / length);
}

/**
 * The median of the means of all pairs, each value with itself too (Hodges and Lehmann 1963): a few long runs move it
 * as little as they move a median, and of as many values it is surer.
 * @param {readonly number[]} values not empty
 */
export function centre(values) {
  const means = values.flatMap((one, index) => values.slice(index).map((other) => (one + other) / 2));
  return median(means);
}
