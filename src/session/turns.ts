/** One piece of work at a time, in the order in which it was asked for. */
import { orAborted } from './waiting.ts';

export class Turns {
  /** Resolves when the work under way, and all that waits behind it, is over. */
  #last: Promise<unknown> = Promise.resolve();
  #active = 0;
  readonly #held = new Set<Promise<void>>();
  /** Resolves when somebody asks for a turn for the first time. */
  readonly asked: Promise<void>;
  #wasAsked: () => void = () => undefined;
  /** Ends the work of our own that is under way. */
  #giveWay: AbortController | undefined;

  constructor() {
    this.asked = new Promise((resolve) => {
      this.#wasAsked = resolve;
    });
  }

  /** Somebody will ask for a turn; what they ask first is no work of this session. */
  announce(): void {
    this.#wasAsked();
  }

  /** The signal ends the wait for a turn at once (`aborted`); work that has begun looks at it by itself. */
  async take<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    this.#giveWay?.abort();
    this.#wasAsked();
    const before = this.#last;
    let givenUp: unknown;
    const mine = before.then(async () => {
      if (givenUp !== undefined) throw givenUp;
      this.#active += 1;
      try {
        return await work();
      } finally {
        this.#active -= 1;
      }
    });
    this.#last = mine.catch(() => undefined);
    await orAborted(before, signal).catch((error: unknown) => {
      givenUp = error;
      throw error;
    });
    return mine;
  }

  /** Work of our own: its signal fires as soon as anyone else asks for a turn. */
  async takeUntilAsked<T>(work: (asked: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const mine = new AbortController();
    const taken = this.take(() => work(mine.signal), signal);
    this.#giveWay = mine;
    try {
      return await taken;
    } finally {
      if (this.#giveWay === mine) this.#giveWay = undefined;
    }
  }

  /** Nothing is idle until what this returns is called; who asks for a turn does not wait for it. */
  hold(): () => void {
    let letGo: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    this.#held.add(held);
    return () => {
      this.#held.delete(held);
      letGo();
    };
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    while (this.#active > 0 || this.#held.size > 0) await Promise.all([this.#last, ...this.#held]);
  }
}
