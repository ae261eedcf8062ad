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
