/** A visit as the bench asks for it: opens a session, asks at once, and stamps all that happens by the page's clock. */
import { createSession, type PlanMode, type PlanPeriod, type Session, type TextPlan } from 'isthmus';

export interface VisitOptions {
  readonly packageUrl: string;
  /** Token ids. */
  readonly prompt: readonly number[];
  readonly maxTokens: number;
  readonly plan: TextPlan;
  readonly mode: PlanMode;
  /** False: all weights stay where they are, as in a visit that has them already. */
  readonly prefetch?: boolean;
  /** Calls `leaveAlone` when `local` has made so many tokens, and ends so many tokens behind that. */
  readonly alone?: { readonly afterTokens: number; readonly tokens: number };
  readonly limitMs: number;
  /** Guesses of a pass; by default as many as pay. */
  readonly draft?: number;
}

/** Ms since the page's own beginning, `timeOrigin` (epoch ms). */
export interface Visit {
  readonly timeOrigin: number;
  readonly createdAt: number;
  readonly openAt: number;
  readonly askedAt: number;
  readonly tokensAt: readonly number[];
  /** When they were to be shown. */
  readonly shownAt: readonly number[];
  readonly periods: readonly {
    readonly at: number;
    readonly plan: string;
    readonly fromToken: number;
    readonly reason: string;
  }[];
  readonly weights: readonly { readonly at: number; readonly done: number; readonly total: number }[];
  /** When the endpoint was known to be gone, by whoever ended it. */
  readonly aloneAt?: number;
  readonly tokensWhenAlone?: number;
  readonly longTasks: readonly { readonly at: number; readonly ms: number }[];
  readonly endedBy: string;
}

export interface WordsOptions {
  readonly packageUrl: string;
  readonly prompt: string;
  readonly maxTokens: number;
}

/** `firstAt`: ms since `timeOrigin` (epoch ms). */
export interface FirstWords {
  readonly timeOrigin: number;
  readonly firstAt: number;
}

declare global {
  // `var` is what makes a property of the global object.
  var leaveAlone: (() => Promise<void>) | undefined;
  var cold: {
    visit(options: VisitOptions): Promise<Visit>;
    words(options: WordsOptions): Promise<FirstWords>;
  };
}

/** An answer that was told to end, and a session that closes, are given so many ms: the figures are here by then. */
const END_MS = 10_000;

const after = <T>(ms: number, value: T): Promise<T> =>
  new Promise((resolve) => setTimeout(() => resolve(value), ms));

async function visit(options: VisitOptions): Promise<Visit> {
  const weights: { at: number; done: number; total: number }[] = [];
  const longTasks: { at: number; ms: number }[] = [];
  const watch = new PerformanceObserver((list) => {
    for (const { startTime, duration } of list.getEntries()) longTasks.push({ at: startTime, ms: duration });
  });
  watch.observe({ entryTypes: ['longtask'] });
  const createdAt = performance.now();
  const session = await createSession(options.packageUrl, {
    ...(options.prefetch === undefined ? {} : { prefetch: options.prefetch }),
    onEvent: (event) => {
      if (event.type === 'weights')
        weights.push({ at: performance.now(), done: event.done, total: event.total });
    },
  });
  const openAt = performance.now();
  try {
    const asked = await ask(session, options);
    return { timeOrigin: performance.timeOrigin, createdAt, openAt, ...asked, weights, longTasks };
  } finally {
    watch.disconnect();
    await Promise.race([session.close(), after(END_MS, undefined)]);
  }
}

type Asked = Omit<Visit, 'timeOrigin' | 'createdAt' | 'openAt' | 'weights' | 'longTasks'>;

async function ask(session: Session, options: VisitOptions): Promise<Asked> {
  const { alone } = options;
  const tokensAt: number[] = [];
  const shownAt: number[] = [];
  const periods: { at: number; plan: string; fromToken: number; reason: string }[] = [];
  let left: { aloneAt: number; tokensWhenAlone: number } | undefined;
  let isLeaving = false;
  let tellEnough: (ended: Promise<string>) => void = () => undefined;
  const enough = new Promise<string>((resolve) => {
    tellEnough = resolve;
  });
  const show = (): unknown => shownAt.push(performance.now());
  const onToken = (_: number, holdMs: number): boolean => {
    tokensAt.push(performance.now());
    if (holdMs > 0) setTimeout(show, holdMs);
    else show();
    if (alone === undefined) return false;
    const period = periods.at(-1);
    if (period?.plan === 'local' && !isLeaving && tokensAt.length - period.fromToken >= alone.afterTokens) {
      isLeaving = true;
      void globalThis.leaveAlone?.().then(() => {
        left = { aloneAt: performance.now(), tokensWhenAlone: tokensAt.length };
      });
    }
    const isEnough = left !== undefined && tokensAt.length - left.tokensWhenAlone >= alone.tokens;
    if (isEnough) tellEnough(after(END_MS, `nothing: told to stop, it had not ended in ${END_MS} ms`));
    return isEnough;
  };
  const askedAt = performance.now();
  const late = after(options.limitMs + END_MS, 'nothing: it went on when it was aborted');
  const answer = session
    .runText({
      tokens: options.prompt,
      sampling: { temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, seed: 0 },
      endTokens: [],
      maxTokens: options.maxTokens,
      ...(options.draft === undefined ? {} : { draft: options.draft }),
      plan: options.plan,
      mode: options.mode,
      signal: AbortSignal.timeout(options.limitMs),
      onToken,
      onMove: ({ plan, fromToken, reason }: PlanPeriod) =>
        periods.push({ at: performance.now(), plan, fromToken, reason }),
    })
    .then(
      ({ reason }) => reason,
      (error: unknown) => String(error),
    );
  const endedBy = await Promise.race([answer, enough, late]);
  return { askedAt, tokensAt, shownAt, periods, ...left, endedBy };
}

/** As an app asks, in words. */
async function words({ packageUrl, prompt, maxTokens }: WordsOptions): Promise<FirstWords> {
  const session = await createSession(packageUrl);
  try {
    const stream = session.generate(prompt, { temperature: 0, maxTokens });
    for await (const _ of stream) return { timeOrigin: performance.timeOrigin, firstAt: performance.now() };
    throw new Error('no words came');
  } finally {
    await Promise.race([session.close(), after(END_MS, undefined)]);
  }
}

globalThis.cold = { visit, words };
