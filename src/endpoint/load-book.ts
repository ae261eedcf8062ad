/** What an endpoint tells of a model's load: how long answers waited of late, and what segments took. Time passed in. */
import type { Phase, Segment } from '../core/span.ts';
import type { ModelLoad, ServedPace } from '../protocol/endpoint-load.ts';
import { MAX_LOAD_MS, MAX_LOAD_PACES } from '../protocol/limits.ts';
import { segmentKey } from '../runtime/segment-key.ts';

/** Waits kept: a busy endpoint answers that many in some seconds. */
const MAX_WAITS = 64;

/** Half of what waits told is forgotten by then: bursts of requests last some seconds. */
const WAIT_HALF_LIFE_MS = 10_000;

/** Runs of one segment kept: the median of five is not moved by one pause. */
const MAX_RUNS = 5;

/** Rows from which a run is prefill, told apart from steps: rows share the reading of the weights. */
const MANY_ROWS = 8;

interface Wait {
  readonly ms: number;
  readonly at: number;
}

type Ran = Omit<ServedPace, 'segment'>;

export class LoadBook {
  #waits: readonly Wait[] = [];
  /** By segment, phase and size; the least recent first. */
  readonly #runs = new Map<string, { readonly segment: string; readonly runs: readonly Ran[] }>();

  /** An answer (or lane's call) was ready after waiting so many ms for its turns. */
  answered(queueMs: number, at: number): void {
    if (!isTime(queueMs) || !Number.isFinite(at)) return;
    this.#waits = [...this.#waits, { ms: queueMs, at }].slice(-MAX_WAITS);
  }

  /** A segment ran, for whomever. `units` as in `ServedPace`. */
  ran(of: Segment, phase: Phase, units: number, ms: number): void {
    if (!isTime(ms) || !Number.isSafeInteger(units) || units < 0) return;
    const segment = `${segmentKey(of)}:${phase}`;
    const key = phase === 'step' && units > MANY_ROWS ? `${segment}:many` : segment;
    const runs = [...(this.#runs.get(key)?.runs ?? []), { units, ms }].slice(-MAX_RUNS);
    this.#runs.delete(key);
    this.#runs.set(key, { segment, runs });
    if (this.#runs.size <= MAX_LOAD_PACES) return;
    const [oldest] = this.#runs.keys();
    if (oldest !== undefined) this.#runs.delete(oldest);
  }

  /**
   * Whoever comes at no special time finds what a queue is like on average (Wolff, "Poisson arrivals see time
   * averages", 1982), so the mean of late waits is what the next may expect; what waits now counts as one of them.
   *
   * @param waiting requests that wait for a turn now
   */
  report(waiting: number, now: number): ModelLoad {
    const queueMs = this.#meanWait(now, waiting * this.#meanRunMs());
    return { queueMs: Math.min(MAX_LOAD_MS, queueMs), paces: this.#paces() };
  }

  #meanWait(now: number, present: number): number {
    let sum = present;
    let all = 1;
    for (const { ms, at } of this.#waits) {
      const share = 0.5 ** (Math.max(0, now - at) / WAIT_HALF_LIFE_MS);
      sum += share * ms;
      all += share;
    }
    return sum / all;
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
