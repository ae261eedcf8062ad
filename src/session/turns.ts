/** One piece of work at a time, in the order in which it was asked for. */
export class Turns {
  /** Resolves when the work under way, and all that waits behind it, is over. */
  #last: Promise<unknown> = Promise.resolve();
  #active = 0;

  take<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(async () => {
      this.#active += 1;
      try {
        return await work();
      } finally {
        this.#active -= 1;
      }
    });
    this.#last = mine.catch(() => undefined);
    return mine;
  }

  /** Resolves when all that was asked for until now is over. */
  async over(): Promise<void> {
    await this.#last;
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    while (this.#active > 0) await this.#last;
  }
}
