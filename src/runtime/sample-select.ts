/**
 * The best of many scores without sorting them all. Better is a higher score, and among equals a lower index;
 * results are indices in ascending order, and follow from the arguments to the last bit.
 */

/** So few are sorted as they are. */
const SORTED_AT_ONCE = 2_048;

/** Of a 32-bit float: sign, exponent and five bits of the significand, so that few scores share a bucket. */
const BUCKET_BITS = 14;
const BUCKETS = 2 ** BUCKET_BITS;

/** The `count` best of all `scores` (no NaN). */
export function bestOf(scores: Float32Array, count: number): Uint32Array {
  const heap = new Uint32Array(Math.min(count, scores.length));
  for (let index = 0; index < heap.length; index += 1) heap[index] = index;
  for (let at = (heap.length >> 1) - 1; at >= 0; at -= 1) sink(scores, heap, at);
  let worst = scores[heap[0] ?? 0] ?? 0;
  for (let index = heap.length; index < scores.length; index += 1) {
    // Indices grow, so an equal score is never better.
    if (!((scores[index] ?? 0) > worst)) continue;
    heap[0] = index;
    sink(scores, heap, 0);
    worst = scores[heap[0] ?? 0] ?? 0;
  }
  return heap.sort();
}

/** Restores a heap with the worst on top below the place `from`. */
function sink(scores: Float32Array, heap: Uint32Array, from: number): void {
  const moved = heap[from] ?? 0;
  let at = from;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    const right = child + 1;
    if (right < heap.length && worse(scores, heap[right] ?? 0, heap[child] ?? 0)) child = right;
    const below = heap[child] ?? 0;
    if (!worse(scores, below, moved)) break;
    heap[at] = below;
    at = child;
  }
  heap[at] = moved;
}

function worse(scores: Float32Array, a: number, b: number): boolean {
  const difference = (scores[a] ?? 0) - (scores[b] ?? 0);
  // Two scores of -Infinity differ by NaN: equals, too.
  return difference < 0 || (!(difference > 0) && a > b);
}

/**
 * The smallest set of best candidates whose weights sum to at least `enough`; all of them when they do not.
 *
 * @param candidates indices into `scores`, ascending
 * @param weights of each candidate, by its place in `candidates`; 0 or more
 */
export function nucleus(
  scores: Float32Array,
  candidates: Uint32Array,
  weights: Float64Array,
  enough: number,
): Uint32Array {
  const wanted = new Uint8Array(candidates.length);
  let missing = enough;
  let places: number[];
  if (candidates.length > SORTED_AT_ONCE) {
    const buckets = bucketsOf(scores, candidates);
    const edge = edgeOf(buckets, weights, enough);
    missing = edge.missing;
    places = [];
    for (let at = 0; at < buckets.length; at += 1) {
      const bucket = buckets[at] ?? 0;
      if (bucket > edge.bucket) wanted[at] = 1;
      else if (bucket === edge.bucket) places.push(at);
    }
  } else {
    places = Array.from(candidates.keys());
  }
  places.sort((a, b) => (worse(scores, candidates[a] ?? 0, candidates[b] ?? 0) ? 1 : -1));
  for (const at of places) {
    if (missing <= 0) break;
    missing -= weights[at] ?? 0;
    wanted[at] = 1;
  }
  return candidates.filter((_, at) => wanted[at] === 1);
}

/** A number for each candidate that does not fall where scores rise. */
function bucketsOf(scores: Float32Array, candidates: Uint32Array): Uint16Array {
  const bits = new Uint32Array(scores.buffer, scores.byteOffset, scores.length);
  const buckets = new Uint16Array(candidates.length);
  for (let at = 0; at < candidates.length; at += 1) {
    const own = bits[candidates[at] ?? 0] ?? 0;
    // Bits of negative floats grow the other way; both zeros belong together.
    const rising = own > 0x80000000 ? ~own : own | 0x80000000;
    buckets[at] = rising >>> (32 - BUCKET_BITS);
  }
  return buckets;
}

/** The bucket in which the running sum from the best on reaches `enough`, and what is missing before it. */
function edgeOf(
  buckets: Uint16Array,
  weights: Float64Array,
  enough: number,
): { readonly bucket: number; readonly missing: number } {
  const mass = new Float64Array(BUCKETS);
  for (let at = 0; at < buckets.length; at += 1) {
    const bucket = buckets[at] ?? 0;
    mass[bucket] = (mass[bucket] ?? 0) + (weights[at] ?? 0);
  }
  let bucket = BUCKETS - 1;
  let above = 0;
  for (; bucket > 0; bucket -= 1) {
    const next = above + (mass[bucket] ?? 0);
    if (next >= enough) break;
    above = next;
  }
  return { bucket, missing: enough - above };
}
