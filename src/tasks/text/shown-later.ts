/** Text in its order, each piece not before its time. */

interface Piece {
  readonly text: string;
}

export class ShownLater {
  readonly #emit: (text: string) => void;
  readonly #pause: (ms: number) => Promise<void>;
  readonly #waiting: Piece[] = [];

  constructor(emit: (text: string) => void, pause: (ms: number) => Promise<void>) {
    this.#emit = emit;
    this.#pause = pause;
  }

  /** At once, if nothing waits and `holdMs` is 0; pieces before it are shown by then. */
  show(text: string, holdMs: number): void {
    if (holdMs <= 0 && this.#waiting.length === 0) {
      this.#emit(text);
      return;
    }
    const piece = { text };
    this.#waiting.push(piece);
    void this.#pause(Math.max(0, holdMs)).then(() => this.#showUpTo(piece));
  }

  /** What waits, now. */
  flush(): void {
    for (const { text } of this.#waiting.splice(0)) this.#emit(text);
  }

  #showUpTo(piece: Piece): void {
    // -1 where it was shown by a later one's turn, or by `flush`.
    const index = this.#waiting.indexOf(piece);
    for (const { text } of this.#waiting.splice(0, index + 1)) this.#emit(text);
  }
}
