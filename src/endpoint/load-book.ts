/** What an endpoint tells of a model's load: how long an answer would wait, and what segments took of late. Time passed in. */
import type { Phase, Segment } from '../core/span.ts';
import type { ModelLoad, ServedPace } from '../protocol/endpoint-load.ts';
import { MAX_LOAD_MS, MAX_LOAD_OTHERS, MAX_LOAD_PACES } from '../protocol/limits.ts';
import { segmentKey } from '../runtime/segment-key.ts';

/**
 * Half of who was here is forgotten by then. Who asks comes within a second or two, so that what the queue was of late
 * says more than what it is on average: with ten times as much, others that had left were told of for ten requests.
 */
const HALF_LIFE_MS = 1_000;

/** Who was here so small a part of the past is gone: a thousandth of a ms. */
const GONE = 1e-6;

/** Runs of one segment kept, and answers: the median of five is not moved by one pause. */
const MAX_RUNS = 5;

/** Rows beyond which a run is prefill, told apart from steps: rows share the reading of the weights. So are steps with guesses. */
const MANY_ROWS = 8;

type Ran = Omit<ServedPace, 'segment'>;

/** Whoever asks, the same for all that it asks: what is told to it leaves its own work out. */
export type Asker = object;

interface Stay {
  readonly asker: Asker;
  readonly from: number;
}

export class LoadBook {
  /** How much of a past that fades each was here, waiting or at work (0..1; more where it asks for several at once). */
  readonly #here = new Map<Asker, number>();
  /** Of those who are here still; not in that yet. */
  readonly #stays = new Set<Stay>();
  /** How much of that past is known (0..1). */
  #known = 0;
  /** Until when it is told. */
  #at: number | undefined;
  /** Ms of work, of the latest. */
  #answers: readonly number[] = [];
  /** By segment, phase and size; the least recent first. */
  readonly #runs = new Map<string, { readonly segment: string; readonly runs: readonly Ran[] }>();

  /** Somebody asks for a turn, and is here until the returned function is called, waited or worked for. */
  enter(asker: Asker, at: number): (at: number) => void {
    if (!Number.isFinite(at)) return () => undefined;
    this.#at ??= at;
    const stay = { asker, from: at };
    this.#stays.add(stay);
    return (until) => {
      if (!this.#stays.delete(stay) || !Number.isFinite(until)) return;
      this.#pass(until);
      // Of all that fades from now on; what passed meanwhile is in it already, as nothing, and this is added to that.
      this.#here.set(asker, (this.#here.get(asker) ?? 0) + shareOf(stay, until));
    };
  }

  /** A client's answer (or lane's call) took so many ms of work. One that was broken off says nothing. */
  answered(workMs: number): void {
    if (isTime(workMs) && workMs > 0) this.#answers = [...this.#answers, workMs].slice(-MAX_RUNS);
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
   * Turns go round, so that an answer waits about as long as it takes for each of the others that are here meanwhile. Whoever
   * comes at no special time finds as many of them as there are on average over time (Wolff, "Poisson arrivals see time averages", 1982).
   * What others wait says less: it is for one another, and one client alone waits for nobody.
   *
   * @param asker nobody's own work where none is given
   */
  report(now: number, asker?: Asker): ModelLoad {
    if (this.#at !== undefined && Number.isFinite(now)) this.#pass(now);
    let others = 0;
    for (const [one, share] of this.#here) if (one !== asker) others += share;
    const present = [...this.#stays].filter((stay) => stay.asker !== asker);
    for (const stay of present) others += shareOf(stay, now);
    others = this.#known === 0 ? 0 : Math.min(MAX_LOAD_OTHERS, others / this.#known);
    const usualMs = others * middleOf(this.#answers);
    // Of those who came just now that knows little: a turn of each is the least that a newcomer waits.
    const queueMs = Math.max(usualMs, present.length * this.#meanRunMs());
    return { queueMs: Math.min(MAX_LOAD_MS, queueMs), others, paces: this.#paces() };
  }

  /** Until `to`; not backwards, where a clock was set back. */
  #pass(to: number): void {
    const kept = 0.5 ** (Math.max(0, to - (this.#at ?? to)) / HALF_LIFE_MS);
    this.#at = to;
    this.#known = kept * this.#known + 1 - kept;
    for (const [asker, share] of this.#here) {
      if (share * kept < GONE) this.#here.delete(asker);
      else this.#here.set(asker, share * kept);
    }
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

/** Of a past that fades, up to then. */
function shareOf({ from }: Stay, until: number): number {
  return 1 - 0.5 ** (Math.max(0, until - from) / HALF_LIFE_MS);
}

/** 0 of none. */
function middleOf(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
