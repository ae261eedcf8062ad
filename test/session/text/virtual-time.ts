/** Time that passes when nothing else is left to do: what overlaps is counted, not timed. */
export class VirtualTime {
  #now = 0;
  readonly #waiting: { readonly at: number; readonly go: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  wait(ms: number): Promise<void> {
    return new Promise((go) => this.#waiting.push({ at: this.#now + ms, go }));
  }

  /** Lets time pass until the work is done. */
  async run<T>(work: Promise<T>): Promise<T> {
    let isDone = false;
    const done = (): void => {
      isDone = true;
    };
    work.then(done, done);
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      if (isDone) return work;
      this.#waiting.sort((a, b) => a.at - b.at);
      const next = this.#waiting.shift();
      if (next === undefined) throw new Error('nothing is left that the work could wait for');
      this.#now = next.at;
      next.go();
    }
  }
}
