import { EvenGaps } from './even-gaps.ts';

/** A text with the answer that grows at its end. One route at a time speaks it. */
export interface Speaker {
  /** Adds a token; false when the answer takes no more, or none of this speaker's. */
  take(token: number): boolean;
  /** What it still says belongs to no text. */
  silence(): void;
}

export class Answer {
  readonly gaps = new EvenGaps();
  readonly tokens: number[];
  /** Index in `tokens` of the answer's first. */
  readonly from: number;
  /** Length that `tokens` may reach. */
  readonly until: number;
  /** Ended by its listener. */
  isOver = false;
  /** When the latest token came, by the given clock. */
  lastAt: number;
  readonly #onToken: (token: number, holdMs: number) => boolean;
  readonly #now: () => number;
  readonly #waiting = new Set<() => void>();

  /** `onToken` ends the answer by returning true. */
  constructor(
    tokens: number[],
    until: number,
    onToken: (token: number, holdMs: number) => boolean,
    now: () => number,
  ) {
    this.tokens = tokens;
    this.from = tokens.length;
    this.until = until;
    this.#onToken = onToken;
    this.#now = now;
    this.lastAt = now();
  }

  speaker(): Speaker {
    let isSilent = false;
    return {
      take: (token) => !isSilent && this.#take(token),
      silence: () => {
        isSilent = true;
      },
    };
  }

  /** Resolves when the next token has come. */
  next(): Promise<void> {
    return new Promise((resolve) => this.#waiting.add(resolve));
  }

  #take(token: number): boolean {
    if (this.isOver || this.tokens.length >= this.until) return false;
    this.tokens.push(token);
    this.lastAt = this.#now();
    this.isOver = this.#onToken(token, this.gaps.holdMs(this.lastAt));
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
    return !this.isOver;
  }
}
