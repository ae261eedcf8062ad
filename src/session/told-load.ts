/** What of an endpoint's word on itself is news, and not this session's own requests told back to it. */
import type { ModelLoad, ServedPace } from '../protocol/endpoint-load.ts';

export class ToldLoad {
  /** The latest pace of each segment and size, as one text. */
  #known: ReadonlySet<string> = new Set();
  #isOwn = false;
  #early: ModelLoad | undefined;

  #listener: (pace: ServedPace) => void = () => undefined;
  #latest: ModelLoad = { queueMs: 0, paces: [] };

  /** Told of all news, and at once of what came before it listened: what a run takes from its call to its end, waiting included. */
  listen(listener: (pace: ServedPace) => void): void {
    this.#listener = listener;
    this.#tell(this.#latest.paces);
  }

  /** A request of this session was served, and told its times itself. */
  served(): void {
    this.#isOwn = true;
  }

  /** Came before it could be used; a later one replaces it. */
  keepEarly(load: ModelLoad): void {
    this.#early = load;
  }

  takeEarly(): ModelLoad | undefined {
    const early = this.#early;
    this.#early = undefined;
    return early;
  }

  /** Paces that others' requests have shown since it was last told, without waiting for turns. */
  news(load: ModelLoad): readonly ServedPace[] {
    const { paces } = load;
    const textOf = ({ segment, units, ms }: ServedPace): string => `${segment} ${units} ${ms}`;
    const fresh = this.#isOwn ? [] : paces.filter((pace) => !this.#known.has(textOf(pace)));
    this.#known = new Set(paces.map(textOf));
    this.#isOwn = false;
    this.#latest = load;
    this.#tell(fresh);
    return fresh;
  }

  /** Before each run is a turn of each of the others. Most turns are steps of answers, through all blocks of the loop. */
  #tell(told: readonly ServedPace[]): void {
    const { paces, others = 0 } = this.#latest;
    const stepMs = Math.max(0, ...paces.filter(({ units }) => units === 1).map(({ ms }) => ms));
    for (const pace of told) {
      this.#listener({ ...pace, ms: pace.ms + others * (stepMs > 0 ? stepMs : pace.ms) });
    }
  }
}
