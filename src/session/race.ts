/**
 * One plan, and perhaps a second one beside it: the first that is done wins and the other is stopped. Tokens are
 * told once, by whichever plan is ahead; what was told binds, so a plan that says otherwise is out.
 */
import { IsthmusError, toIsthmusError } from '../errors.ts';
import type { PricedPlan } from '../planner/types.ts';
import type { Executed, Meter } from './execute.ts';
import type { RaceLost, RaceOptions, RaceWon, Runner } from './race-types.ts';
import type { HedgeCause } from './types.ts';

/** Ms after which it is asked again whether a second plan may begin, where none may now. */
const ASK_AGAIN_MS = 1_000;

interface Entrant extends Runner {
  readyAt: number | undefined;
  tokens: number;
  firstTokenMs: number;
  latestAt: number;
  meter: Meter;
  error: IsthmusError | undefined;
  readonly abort: AbortController;
  over: Promise<unknown>;
}

/** Rejects with what the caller's own code threw, and with what an abort made of the plans, once all have stopped. */
export async function race(options: RaceOptions): Promise<RaceWon | RaceLost> {
  const entered = new Race(options);
  return entered.run();
}

class Race {
  readonly #options: RaceOptions;
  readonly #entrants: Entrant[] = [];
  readonly #over = new AbortController();
  #cause: HedgeCause | undefined;
  #finish: (result: RaceWon | RaceLost) => void = () => undefined;
  #fail: (error: unknown) => void = () => undefined;

  constructor(options: RaceOptions) {
    this.#options = options;
  }

  async run(): Promise<RaceWon | RaceLost> {
    const { signal, first } = this.#options;
    const result = new Promise<RaceWon | RaceLost>((resolve, reject) => {
      this.#finish = resolve;
      this.#fail = reject;
    });
    const stop = (): void => this.#stopAll(signal?.reason);
    if (signal?.aborted) throw new IsthmusError('aborted', 'the work was aborted', { cause: signal.reason });
    signal?.addEventListener('abort', stop, { once: true });
    try {
      this.#enter(first);
      void this.#watch();
      return await result;
    } finally {
      signal?.removeEventListener('abort', stop);
      this.#over.abort();
    }
  }

  #enter(plan: PricedPlan): void {
    const { clock, told, run } = this.#options;
    const beganAt = clock.now();
    const entrant: Entrant = {
      plan,
      beganAt,
      readyAt: undefined,
      tokens: told.length,
      firstTokenMs: 0,
      latestAt: beganAt,
      meter: {},
      error: undefined,
      abort: new AbortController(),
      over: Promise.resolve(),
    };
    this.#entrants.push(entrant);
    const work = run(plan, {
      prefix: [...told],
      signal: entrant.abort.signal,
      onToken: (token) => this.#heard(entrant, token),
      onMeter: (meter) => {
        entrant.meter = { ...entrant.meter, ...meter };
      },
      onReady: () => {
        entrant.readyAt = clock.now();
      },
    });
    entrant.over = work.then(
      (executed) => this.#done(entrant, executed),
      (error: unknown) => this.#out(entrant, toIsthmusError(error)),
    );
  }

  /** Lets the second plan begin when its time has come. Ends with the race. */
  async #watch(): Promise<void> {
    const { second, timeout, onSecond, clock } = this.#options;
    const [first] = this.#entrants;
    if (second === undefined || first === undefined) return;
    let isStart = true;
    while (!this.#over.signal.aborted && first.error === undefined) {
      const now = clock.now();
      const candidate = second({
        isStart,
        sinceStartMs: Math.max(0, now - first.beganAt),
        sinceTokenMs: Math.max(0, now - first.latestAt),
        firstTokenMs: first.firstTokenMs,
        tokens: first.tokens,
      });
      isStart = false;
      if (candidate !== undefined && candidate.inMs <= 0) {
        this.#cause = candidate.cause;
        onSecond(candidate);
        this.#enter(candidate.plan);
        return;
      }
      await eitherFires(timeout(Math.ceil(candidate?.inMs ?? ASK_AGAIN_MS)), this.#over.signal);
    }
  }

  #heard(entrant: Entrant, token: number): void {
    if (this.#over.signal.aborted || entrant.abort.signal.aborted) return;
    const { told, tell, clock } = this.#options;
    const now = clock.now();
    if (entrant.firstTokenMs === 0) entrant.firstTokenMs = Math.max(0, now - entrant.beganAt);
    entrant.latestAt = now;
    const known = told[entrant.tokens];
    entrant.tokens += 1;
    if (known === token) return;
    if (known !== undefined) {
      this.#out(entrant, differs(entrant.plan));
      entrant.abort.abort();
      return;
    }
    told.push(token);
    try {
      tell(token);
    } catch (error) {
      this.#stopAll(error);
      throw error;
    }
  }

  #done(entrant: Entrant, executed: Executed): void {
    if (this.#over.signal.aborted || entrant.error !== undefined) return;
    // It ended where another one went on.
    if (entrant.tokens < this.#options.told.length) {
      this.#out(entrant, differs(entrant.plan));
      return;
    }
    this.#over.abort();
    const [first] = this.#entrants;
    const loser = this.#entrants.find((other) => other !== entrant);
    loser?.abort.abort();
    const isHedged = this.#cause !== undefined && first !== undefined && loser !== undefined;
    this.#finish({
      executed,
      winner: entrant,
      ...(isHedged ? { hedge: { cause: this.#cause ?? 'late', first, loser } } : {}),
      stopped: loser?.over ?? Promise.resolve(),
      endedAt: this.#options.clock.now(),
    });
  }

  /** A plan that fails while the other one runs has lost, and no more. */
  #out(entrant: Entrant, error: IsthmusError): void {
    if (this.#over.signal.aborted || entrant.error !== undefined) return;
    entrant.error = error;
    const failures = this.#entrants.flatMap((one) =>
      one.error === undefined ? [] : [{ plan: one.plan.id, error: one.error }],
    );
    if (failures.length < this.#entrants.length) return;
    this.#over.abort();
    // The one that failed last is told last.
    failures.sort((a, b) => Number(a.error === error) - Number(b.error === error));
    this.#finish({ failures });
  }

  /** Fails once nothing runs any more: whoever comes next finds both places free. */
  #stopAll(reason: unknown): void {
    if (this.#over.signal.aborted) return;
    this.#over.abort();
    for (const { abort } of this.#entrants) abort.abort(reason);
    const aborted = new IsthmusError('aborted', 'the work was aborted', { cause: reason });
    void Promise.all(this.#entrants.map(({ over }) => over)).then(() => this.#fail(aborted));
  }
}

function differs({ id }: PricedPlan): IsthmusError {
  return new IsthmusError('internal', `${id} went on otherwise than the answer that is out already`);
}

function eitherFires(a: AbortSignal, b: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of [a, b]) {
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', () => resolve(), { once: true });
    }
  });
}
