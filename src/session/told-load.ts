/** What of an endpoint's word on itself is news, and not this session's own requests told back to it. */
import type { ModelLoad, ServedPace } from '../protocol/endpoint-load.ts';

export class ToldLoad {
  /** The latest pace of each segment and size, as one text. */
  #known: ReadonlySet<string> = new Set();
  #isOwn = false;
  #early: ModelLoad | undefined;

  #listener: (pace: ServedPace) => void = () => undefined;
  #latest: readonly ServedPace[] = [];

  /** Told of all news, and at once of what came before it listened. */
  listen(listener: (pace: ServedPace) => void): void {
    this.#listener = listener;
    for (const pace of this.#latest) listener(pace);
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

  /** Paces that others' requests have shown since it was last told. */
  news({ paces }: ModelLoad): readonly ServedPace[] {
    const textOf = ({ segment, units, ms }: ServedPace): string => `${segment} ${units} ${ms}`;
    const fresh = this.#isOwn ? [] : paces.filter((pace) => !this.#known.has(textOf(pace)));
    this.#known = new Set(paces.map(textOf));
    this.#isOwn = false;
    this.#latest = paces;
    for (const pace of fresh) this.#listener(pace);
    return fresh;
  }
}
