/** The session: one package, one device, perhaps an endpoint, and requests one after another. */
import { nextTask } from '../core/macrotask.ts';
import { leavesDeviceIdle } from '../device/recheck.ts';
import { IsthmusError, throwIfAborted } from '../errors.ts';
import type { Manifest } from '../package/manifest.ts';
import type { EndpointState, Workload } from '../planner/types.ts';
import type { ExecutionProvider } from '../runtime/runner.ts';
import type { Words } from '../runtime/words.ts';
import { deviceWords } from './device-words.ts';
import { Experience } from './experience.ts';
import { explain } from './explain.ts';
import { holdWords } from './far-words.ts';
import { freeOfFirst, measureFirst } from './first-measurement.ts';
import { IdleWatch } from './idle.ts';
import { seekProvider } from './measuring.ts';
import { meetEndpoint } from './meet-endpoint.ts';
import { openDevice } from './opening.ts';
import type { OpenOptions, SessionParts, Shared } from './parts.ts';
import type { Measured } from './providers.ts';
import { runRequest } from './request.ts';
import { share } from './share.ts';
import { textStage } from './text/route.ts';
import { TextSide } from './text/text-side.ts';
import type { RunTextOptions, RunTextResult, TextPlan } from './text/types.ts';
import { Turns } from './turns.ts';
import type { Explanation, HeldWords, RunOptions, RunOutcome, Session, WordsOptions } from './types.ts';
import { inBackground, orAborted } from './waiting.ts';
import { Weights } from './weights.ts';

export type { OpenOptions, SessionParts } from './parts.ts';

/**
 * Resolves once a first plan can be made: the endpoint has answered, or the device is measured or known, or others told
 * what to expect of it. The rest goes on behind it. Throws what measuring throws, and `aborted`.
 */
export async function openSession(parts: SessionParts, options: OpenOptions = {}): Promise<Session> {
  const session = new LiveSession(parts, options);
  try {
    await session.prepare(options.signal);
    return session;
  } catch (error) {
    await session.close();
    throw error;
  }
}

class LiveSession implements Session {
  readonly manifest: Manifest;
  readonly words: Words | undefined;
  readonly #shared: Shared;
  readonly #turns = new Turns();
  readonly #weights: Weights;
  readonly #stop = new AbortController();
  readonly #idle: IdleWatch;
  readonly #experience: Experience;
  /** A text has ended. */
  readonly #spoken = new AbortController();
  #text: TextSide | undefined;
  #isPrepared = false;
  /** Measures a device that was guessed at, once there is reason to fetch what that takes. */
  #measureFirst: (() => Promise<void>) | undefined;
  #closing: Promise<void> | undefined;

  constructor(parts: SessionParts, options: OpenOptions) {
    this.manifest = parts.manifest;
    this.#shared = share(parts, options, {
      isClosed: () => this.#closing !== undefined,
      onEndpoint: (state) => this.#endpointIs(state),
    });
    this.words = deviceWords(this.#shared.device, () => this.#checkOpen());
    const text = {
      sinceSeenMs: () => this.#text?.sinceDeviceMs ?? 0,
      isDoubted: () => this.#text?.isDeviceDoubted ?? false,
      recheck: async (signal: AbortSignal) => this.#text?.recheck(signal) ?? false,
    };
    const watched = parts.manifest.text === undefined ? [] : [text];
    this.#idle = new IdleWatch(this.#shared, this.#turns, this.#stop.signal, ...watched);
    this.#experience = new Experience(this.#shared, this.#stop.signal);
    const firstText = { spoken: this.#spoken.signal, leftMs: () => this.#text?.leftMs ?? 0 };
    this.#weights = new Weights(this.#shared, this.#turns, firstText, async () => {
      // Before any text is asked for: who comes back has all of it at once, and is to start where it is best.
      if (parts.manifest.text !== undefined) await this.#textSide().noteChange();
    });
  }

  get provider(): ExecutionProvider {
    return this.#shared.device.runner.provider;
  }

  get threads(): number {
    return this.#shared.device.runner.threads;
  }

  /** Measures what a first plan needs; the rest goes on behind it. */
  async prepare(signal: AbortSignal | undefined): Promise<void> {
    const { options } = this.#shared;
    // Who forbids that anything leaves the device does not want it announced either.
    const lineIsFree = (): Promise<void> => freeOfFirst(this.#shared, this.#turns, this.#stop.signal);
    if (options.plan !== 'local') inBackground(meetEndpoint(this.#shared, lineIsFree));
    // An endpoint may have answered by now, and what it said is read first: with the device's guess 8 ms of the page at once.
    await nextTask();
    const { measured, guessed } = await openDevice(this.#shared, this.#experience, this.#answered(), signal);
    await this.#weights.refresh();
    if (guessed === undefined) {
      this.#goOn(measured);
      return;
    }
    this.#measureFirst = () => this.#settle(guessed);
    // Where everything runs here there is always reason to.
    if (options.prefetch !== false || this.#shared.link === undefined) this.#settleLater();
  }

  /** Whether the endpoint has answered; the attempt is that of `meetEndpoint`. */
  async #answered(): Promise<boolean> {
    const { link, options } = this.#shared;
    if (link === undefined || options.plan === 'local') return false;
    return link.ready().then(
      () => true,
      () => false,
    );
  }

  #settleLater(): void {
    const measure = this.#measureFirst;
    this.#measureFirst = undefined;
    if (measure !== undefined) inBackground(measure());
  }

  /** @param before what is still under way on the device */
  async #settle(before: Promise<unknown>): Promise<void> {
    await before;
    try {
      this.#goOn(await measureFirst(this.#shared, this.#turns, this.#stop.signal));
    } catch (error) {
      // What could not be fetched to measure on may come later, with the rest.
      this.#goOn(undefined);
      throw error;
    }
  }

  /** What goes on behind the first requests. */
  #goOn(measured: Measured | undefined): void {
    const stop = this.#stop.signal;
    if (stop.aborted) return;
    this.#isPrepared = true;
    inBackground(this.#weights.fetchAhead(stop).then(() => this.#experience.share()));
    // Text has no rehearsal by which providers could be compared: it runs on the one that was started.
    if (measured !== undefined && this.manifest.text === undefined) {
      inBackground(seekProvider(this.#shared, measured, this.#turns, stop));
    }
  }

  async explain(workload?: Workload): Promise<Explanation> {
    this.#checkOpen();
    return explain(this.#shared, workload);
  }

  async prefetch(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    this.#checkOpen();
    await this.#weights.fetchAll(options.signal);
    this.#settleLater();
  }

  async readFile(path: string): Promise<Uint8Array> {
    this.#checkOpen();
    return this.#shared.device.use((runner) => runner.readFile(path));
  }

  async farWords(asked: WordsOptions): Promise<HeldWords | undefined> {
    this.#checkOpen();
    return holdWords(this.#shared, this.#turns, asked);
  }

  async run(options: RunOptions): Promise<RunOutcome> {
    this.#checkOpen();
    const { signal } = options;
    throwIfAborted(signal);
    const work = async (): Promise<RunOutcome> => {
      this.#checkOpen();
      let isElsewhere = false;
      const outcome = await runRequest(this.#shared, options, (planned) => {
        isElsewhere = leavesDeviceIdle(planned.plan);
        this.#idle.beside(planned);
      });
      if (isElsewhere) this.#idle.behindEndpoint();
      return outcome;
    };
    // Whatever a request waits for when the session is closed, its caller waits no longer.
    const running = this.#idle.during(this.#turns.take(work, signal));
    const outcome = await orAborted(running, this.#stop.signal, closedError);
    inBackground(this.#experience.share());
    return outcome;
  }

  async runText(options: RunTextOptions): Promise<RunTextResult> {
    this.#checkOpen();
    const { signal } = options;
    throwIfAborted(signal);
    const text = this.#textSide();
    const work = async (): Promise<RunTextResult> => {
      this.#checkOpen();
      return text.run(options).finally(() => this.#spoken.abort());
    };
    return orAborted(this.#idle.during(this.#turns.take(work, signal)), this.#stop.signal, closedError);
  }

  async moveText(plan: Exclude<TextPlan, 'auto'>): Promise<void> {
    this.#checkOpen();
    await orAborted(this.#textSide().moveTo(plan), this.#stop.signal, closedError);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#stop.abort();
    const { link, device, parts } = this.#shared;
    await this.#text?.close();
    link?.close();
    await device.close();
    await parts.profiles.close();
  }

  #textSide(): TextSide {
    textStage(this.manifest);
    this.#text ??= new TextSide(this.#shared, {
      begins: () => this.#idle.besideEndpoint(),
      ended: () => this.#idle.behindEndpoint(),
    });
    return this.#text;
  }

  #endpointIs(state: EndpointState): void {
    if (state === 'down') this.#shared.knowledge.forgetLink();
    inBackground(this.#text?.noteChange() ?? Promise.resolve());
    this.#shared.emit({ type: 'endpoint', state });
    // Weights that could not be fetched without it may come now.
    if (state === 'up' && this.#isPrepared) inBackground(this.#weights.fetchAhead(this.#stop.signal));
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw closedError();
  }
}

function closedError(): IsthmusError {
  return new IsthmusError('closed', 'the session was closed');
}
