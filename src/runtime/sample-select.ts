/** The best of many scores without sorting them: time grows with their number alone. */

/** Of a 32-bit float: sign, exponent and five bits of the significand, so that few scores share a bucket. */
const BUCKET_BITS = 14;
const BUCKETS = 2 ** BUCKET_BITS;

/** Of a finite float32's bits: an unsigned number that grows with the float. */
function ordered(bits: number): number {
  return bits >>> 31 === 1 ? ~bits >>> 0 : (bits | 0x80000000) >>> 0;
}

/**
 * The smallest set of best candidates whose weights sum to at least `enough`, in ascending order of their
 * indices. Better is a higher score, and among equals a lower index. All of them when they do not sum up
 * to it. Sums run in an order that the arguments alone decide.
 *
 * @param scores no NaN
 * @param candidates indices into `scores`, ascending
 * @param weights of each candidate, by its place in `candidates`; 0 or more. Absent: 1 each
 */
export function takeBest(
  scores: Float32Array,
  candidates: Uint32Array,
  enough: number,
  weights?: Float64Array,
): Uint32Array {
  const bits = new Uint32Array(scores.buffer, scores.byteOffset, scores.length);
  const bucketOf = (index: number): number => {
    // Adding 0 to -0 is of no use on bits: both zeros must fall into one bucket.
    const own = bits[index] ?? 0;
    return ordered(own === 0x80000000 ? 0 : own) >>> (32 - BUCKET_BITS);
  };
  const mass = new Float64Array(BUCKETS);
  for (let at = 0; at < candidates.length; at += 1) {
    const bucket = bucketOf(candidates[at] ?? 0);
    mass[bucket] = (mass[bucket] ?? 0) + (weights?.[at] ?? 1);
  }
  let edge = BUCKETS - 1;
  let above = 0;
  for (; edge > 0; edge -= 1) {
    const next = above + (mass[edge] ?? 0);
    if (next >= enough) break;
    above = next;
  }
  return keep(scores, candidates, { bucketOf, edge, missing: enough - above, weights });
}

interface Edge {
  readonly bucketOf: (index: number) => number;
  /** Everything in a higher bucket is taken; in this one only the best. */
  readonly edge: number;
  /** Weight wanted from the edge's bucket. */
  readonly missing: number;
  readonly weights: Float64Array | undefined;
}

function keep(scores: Float32Array, candidates: Uint32Array, rule: Edge): Uint32Array {
  const { bucketOf, edge, weights } = rule;
  const wanted = new Uint8Array(candidates.length);
  const places: number[] = [];
  let count = 0;
  for (let at = 0; at < candidates.length; at += 1) {
    const bucket = bucketOf(candidates[at] ?? 0);
    if (bucket === edge) places.push(at);
    if (bucket <= edge) continue;
    wanted[at] = 1;
    count += 1;
  }
  const scoreAt = (at: number): number => scores[candidates[at] ?? 0] ?? 0;
  // Two scores of -Infinity differ by NaN; their order is then that of their indices.
  places.sort((a, b) => scoreAt(b) - scoreAt(a) || a - b);
  let missing = rule.missing;
  for (const at of places) {
    if (missing <= 0) break;
    missing -= weights?.[at] ?? 1;
    wanted[at] = 1;
    count += 1;
  }
  const taken = new Uint32Array(count);
  let next = 0;
  for (let at = 0; at < candidates.length; at += 1) {
    if (wanted[at] !== 1) continue;
    taken[next] = candidates[at] ?? 0;
    next += 1;
  }
  return taken;
}
