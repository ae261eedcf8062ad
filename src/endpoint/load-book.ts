/** What an endpoint tells of a model's load: how long answers waited of late, and what segments took. Time passed in. */
import type { Phase, Segment } from '../core/span.ts';
import type { ModelLoad, ServedPace } from '../protocol/endpoint-load.ts';
import { MAX_LOAD_MS, MAX_LOAD_PACES } from '../protocol/limits.ts';
import { segmentKey } from '../runtime/segment-key.ts';

/**
 * Half of what waits told is forgotten by then. Who asks comes within a second or two, so that what the queue was of late
 * says more than what it is on average: with ten times as much, others that had left were told of for ten requests.
 */
const WAIT_HALF_LIFE_MS = 1_000;

/** What waits now counts like so much of the past: it is told in turns, and an answer waits for several. */
const PRESENT_WEIGHT = 0.25;

/** Runs of one segment kept: the median of five is not moved by one pause. */
const MAX_RUNS = 5;

/** Rows beyond which a run is prefill, told apart from steps: rows share the reading of the weights. So are steps with guesses. */
const MANY_ROWS = 8;

type Ran = Omit<ServedPace, 'segment'>;

export class LoadBook {
  /** Wait of a request that comes at no special time, as a mean over the past that fades, and how much past that is (0..1). */
  #meanMs = 0;
  #known = 0;
  /** Until when the mean is told. */
  #at: number | undefined;
  /** By segment, phase and size; the least recent first. */
  readonly #runs = new Map<string, { readonly segment: string; readonly runs: readonly Ran[] }>();

  /** An answer (or lane's call) was ready after waiting so many ms for its turns, and `tookMs` in all. */
  answered(queueMs: number, tookMs: number, at: number): void {
    if (!isTime(queueMs) || !isTime(tookMs) || !Number.isFinite(at)) return;
    this.#pass(0, Math.max(at - tookMs, this.#at ?? -Infinity));
    this.#pass(queueMs, at);
  }

  /** A segment ran, for whomever. `units` as in `ServedPace`. */
  ran(of: Segment, phase: Phase, units: number, ms: number): void {
    if (!isTime(ms) || !Number.isSafeInteger(units) || units < 0) return;
    const segment = `${segmentKey(of)}:${phase}`;
    const key = phase === 'step' && units > 1 ? `${segment}:${units > MANY_ROWS ? 'many' : 'few'}` : segment;
    const runs = [...(this.#runs.get(key)?.runs ?? []), { units, ms }].slice(-MAX_RUNS);
    this.#runs.delete(key);
    this.#runs.set(key, { segment, runs });
    if (this.#runs.size <= MAX_LOAD_PACES) return;
    const [oldest] = this.#runs.keys();
    if (oldest !== undefined) this.#runs.delete(oldest);
  }

  /**
   * Whoever comes at no special time finds what a queue is like on average over time (Wolff, "Poisson arrivals see time
   * averages", 1982): while an answer was made, what it waited, and nothing while there was none.
   *
   * @param waiting requests that wait for a turn now
   * @param isBusy whether one has its turn
   */
  report(waiting: number, isBusy: boolean, now: number): ModelLoad {
    // What an answer that is not ready yet waits is told by those before it.
    if (waiting === 0 && !isBusy) this.#pass(0, now);
    const present = waiting * this.#meanRunMs();
    const known = this.#known * (1 - PRESENT_WEIGHT);
    const queueMs = (known * this.#meanMs + PRESENT_WEIGHT * present) / (known + PRESENT_WEIGHT);
    return { queueMs: Math.min(MAX_LOAD_MS, queueMs), paces: this.#paces() };
  }

  /** Until `to`, whoever had come would have waited so long. */
  #pass(ms: number, to: number): void {
    // Of the time before the first nothing is known, nor of what passed on a clock that was set back.
    const passed = Math.max(0, to - (this.#at ?? to));
    this.#at = to;
    const share = 0.5 ** (passed / WAIT_HALF_LIFE_MS);
    const kept = share * this.#known;
    const added = 1 - share;
    if (added === 0) return;
    this.#known = kept + added;
    this.#meanMs = (kept * this.#meanMs + added * ms) / this.#known;
  }

  #meanRunMs(): number {
    const all = [...this.#runs.values()].flatMap(({ runs }) => runs);
    return all.reduce((sum, { ms }) => sum + ms, 0) / Math.max(1, all.length);
  }

  #paces(): readonly ServedPace[] {
    return [...this.#runs.values()].flatMap(({ segment, runs }) => {
      const perUnit = ({ units, ms }: Ran): number => ms / Math.max(1, units);
      const middle = [...runs].sort((a, b) => perUnit(a) - perUnit(b))[Math.floor(runs.length / 2)];
      return middle === undefined ? [] : [{ segment, ...middle }];
    });
  }
}

function isTime(ms: number): boolean {
  return ms >= 0 && ms <= MAX_LOAD_MS;
}
