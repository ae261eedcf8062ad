/** Tokens in their order, each when it can be read. */

export interface Learner {
  knows(tokens: readonly number[]): boolean;
  learn(tokens: readonly number[]): Promise<void>;
}

export class ReadAsTold {
  readonly #reader: Learner;
  readonly #show: (token: number, holdMs: number) => void;
  readonly #waiting: number[] = [];
  #reading: Promise<void> | undefined;

  /** @param show takes a token that can be read */
  constructor(reader: Learner, show: (token: number, holdMs: number) => void) {
    this.#reader = reader;
    this.#show = show;
  }

  /** Shows the token at once where it can be read and nothing is before it. */
  push(token: number, holdMs: number): void {
    if (this.#waiting.length === 0 && this.#reader.knows([token])) {
      this.#show(token, holdMs);
      return;
    }
    this.#waiting.push(token);
    // Told by `done`; until then it must not be unheard.
    this.#goOn().catch(() => undefined);
  }

  /** Resolves when all that was pushed is shown. Throws what learning throws. */
  async done(): Promise<void> {
    while (this.#waiting.length > 0) await this.#goOn();
  }

  #goOn(): Promise<void> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #read(): Promise<void> {
    while (this.#waiting.length > 0) {
      const tokens = [...this.#waiting];
      await this.#reader.learn(tokens);
      // What waited for its text has been held for long enough.
      for (const token of this.#waiting.splice(0, tokens.length)) this.#show(token, 0);
    }
  }
}
