/**
 * How threads share the work of one run. All of them go through the same list of operations; pieces of an
 * operation are taken from a counter, so that a slow core takes fewer, and a barrier ends it. Without
 * threads (no shared memory) all of this compiles to nothing.
 */

/** Looks at a barrier before a thread goes to sleep there: some tens of microseconds. */
const SPINS: i32 = 20000;

/** A thread that has died never comes; the others then fail the run instead of waiting for ever. */
const WAIT_NS: i64 = 5_000_000_000;
const MAX_WAITS: i32 = 4;
const TIMED_OUT: i32 = 2;

/** Words of the block that threads meet in; the runner lays it out (`run-block.ts`). */
const ARRIVED: usize = 0;
const GENERATION: usize = 4;

/** Takes the next piece of an operation. `counter` is zero when a run begins. */
// @ts-expect-error: decorator
@inline
export function nextPiece(counter: usize): i32 {
  if (ASC_FEATURE_THREADS) return atomic.add<i32>(counter, 1);
  const piece = load<i32>(counter);
  store<i32>(counter, piece + 1);
  return piece;
}

/** Nobody passes before all `threads` are here. */
// @ts-expect-error: decorator
@inline
export function meet(block: usize, threads: i32): void {
  if (ASC_FEATURE_THREADS) {
    if (threads > 1) meetOthers(block, threads);
  }
}

function meetOthers(block: usize, threads: i32): void {
  const generation = atomic.load<i32>(block, GENERATION);
  if (atomic.add<i32>(block, 1, ARRIVED) == threads - 1) {
    atomic.store<i32>(block, 0, ARRIVED);
    atomic.store<i32>(block, generation + 1, GENERATION);
    atomic.notify(block + GENERATION, -1);
    return;
  }
  for (let spin = 0; spin < SPINS; spin++) {
    if (atomic.load<i32>(block, GENERATION) != generation) return;
  }
  let waits = 0;
  while (atomic.load<i32>(block, GENERATION) == generation) {
    if (atomic.wait<i32>(block + GENERATION, generation, WAIT_NS) == TIMED_OUT) {
      // Not at the first time: a page that was frozen finds its time run out when it wakes.
      waits += 1;
      if (waits == MAX_WAITS) unreachable();
    }
  }
}
