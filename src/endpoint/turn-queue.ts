/**
 * One piece of work at a time, in order of arrival. A native session blocks the thread it runs on, so
 * work in parallel would only wait elsewhere, unseen. A request asks for its next turn when it has used
 * the last, behind everyone who waits by then: that is what makes the order fair between requests.
 */
import { throwIfAborted } from '../errors.ts';

export class TurnQueue {
  /** Each begins the work of one that waits; a set keeps the order of arrival. */
  readonly #waiting = new Set<() => void>();
  readonly #watchers = new Set<() => void>();
  #busy = false;

  /** Calls back when somebody begins to wait, until the returned function is called. */
  onWaiting(watcher: () => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /** Requests that wait for a turn, the one at work not counted. */
  get length(): number {
    return this.#waiting.size;
  }

  /** Whether somebody has the turn. */
  get isBusy(): boolean {
    return this.#busy;
  }

  /** Runs `work` when its turn comes. Rejects with `aborted` when the signal fires before that. */
  async run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    throwIfAborted(signal);
    if (this.#busy) await this.#turn(signal);
    else this.#busy = true;
    try {
      // The signal may have fired after the turn was given and before this line ran.
      throwIfAborted(signal);
      return await work();
    } finally {
      this.#next();
    }
  }

  #turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.delete(begin);
        try {
          throwIfAborted(signal);
        } catch (error) {
          reject(error);
        }
      };
      const begin = (): void => {
        signal?.removeEventListener('abort', leave);
        resolve();
      };
      this.#waiting.add(begin);
      signal?.addEventListener('abort', leave, { once: true });
      for (const watcher of [...this.#watchers]) watcher();
    });
  }

  /** Hands the turn on; `#busy` stays set so that nobody can slip in before who is next. */
  #next(): void {
    const [first] = this.#waiting;
    if (first === undefined) {
      this.#busy = false;
      return;
    }
    this.#waiting.delete(first);
    first();
  }
}
