/** The session's connection to its endpoint: opened when needed, shared, replaced when it breaks. */
import type { Clock } from '../core/clock.ts';
import type { LexiconPart } from '../core/lexicon.ts';
import type { Codec } from '../core/span.ts';
import { IsthmusError, isIsthmusError } from '../errors.ts';
import type { EndpointState } from '../planner/types.ts';
import type { ModelLoad } from '../protocol/endpoint-load.ts';
import type { EncodeOptions } from '../protocol/frame.ts';
import type { OpenLaneMessage } from '../protocol/lane-messages.ts';
import type { ServerMessage, StartMessage } from '../protocol/messages.ts';
import type { Connect } from '../transport/transport.ts';
import { beginRequest, type EndpointRequest } from './endpoint-request.ts';
import { type Exchanged, LiveConnection } from './live-connection.ts';
import { orAborted } from './waiting.ts';

/** Ms to wait for a pong. Slow links answer within seconds; a dead one must not hold a probe for ever. */
const PING_TIMEOUT_MS = 5_000;

/** Ms until a text that was not cut into tokens is asked about elsewhere: there it may be asked for as long again. */
const ENCODE_TIMEOUT_MS = 5_000;

/**
 * Ms of silence in a request after which the endpoint is asked whether it is there. A link can die without
 * a word (a phone that leaves its network), and the socket would then wait for minutes.
 */
const SILENCE_MS = 5_000;

/** Ms from an open connection to its first message, which costs the endpoint nothing to send. */
const HELLO_TIMEOUT_MS = 5_000;

/**
 * Ms after a failed attempt to connect until another is worth its cost beside a request that does without; twice as many
 * after each, five times. Beside every request they made those of an offline page a tenth slower.
 */
const RETRY_AFTER_MS = 1_000;
const MAX_RETRY_DOUBLINGS = 5;

export interface EndpointLinkOptions {
  readonly connect: Connect;
  readonly clock: Clock;
  /** A signal that aborts after so many ms. */
  readonly timeout: (ms: number) => AbortSignal;
  readonly model: string;
  readonly onState: (state: EndpointState) => void;
  /** Told what the endpoint says of the model's load, with its hello and with pongs. */
  readonly onLoad?: (load: ModelLoad) => void;
}

export class EndpointLink {
  readonly #options: EndpointLinkOptions;
  readonly #stop = new AbortController();
  #state: EndpointState = 'unknown';
  #opening: Promise<LiveConnection> | undefined;
  #nextId = 1;
  readonly #hearers = new Set<(words: LexiconPart) => void>();
  /** Attempts that failed, in a row, and when the last one did. */
  #failed = { times: 0, at: 0 };

  constructor(options: EndpointLinkOptions) {
    this.#options = options;
  }

  get state(): EndpointState {
    return this.#state;
  }

  /** Whether to look for an endpoint that nothing needs at once. */
  get isRetryDue(): boolean {
    const { times, at } = this.#failed;
    if (times === 0) return true;
    const waitMs = RETRY_AFTER_MS * 2 ** Math.min(MAX_RETRY_DOUBLINGS, times - 1);
    return Math.abs(this.#options.clock.now() - at) >= waitMs;
  }

  /**
   * Opens the connection, or joins the attempt under way; the signal ends the wait, not the attempt.
   * Throws `endpoint-lost`, `unknown-model`, `wrong-version`, `aborted`, `closed`.
   */
  async ready(signal?: AbortSignal): Promise<void> {
    await this.#live(signal);
  }

  /** Begins a request. The `start` frame is queued before this returns. */
  async start(
    message: Omit<StartMessage, 'type' | 'id' | 'model'>,
    encode: EncodeOptions,
    signal: AbortSignal | undefined,
  ): Promise<EndpointRequest> {
    const live = await this.#live(signal);
    const id = this.#newId();
    const { model } = this.#options;
    const first = { type: 'start', id, model, ...message, ...this.wantedWords() } as const;
    return this.#begin(live, live.open(id, signal), first, encode);
  }

  /**
   * Opens a lane; nothing is answered until its first call. The signal ends the wait for the connection alone: a
   * lane lives until it is cancelled.
   */
  async openLane(codec: Codec, signal?: AbortSignal): Promise<EndpointRequest> {
    const live = await this.#live(signal);
    const id = this.#newId();
    const { model } = this.#options;
    return this.#begin(live, live.open(id, undefined), { type: 'open', id, model, codec });
  }

  /** Until the returned function is called, requests and loops that begin want to be told what their tokens read like. */
  hearWords(hear: (words: LexiconPart) => void): () => void {
    this.#hearers.add(hear);
    return () => this.#hearers.delete(hear);
  }

  /** For a loop that begins now. */
  wantedWords(): { readonly words?: true } {
    return this.#hearers.size > 0 ? { words: true } : {};
  }

  /** Ms on the link's clock. */
  now(): number {
    return this.#options.clock.now();
  }

  #begin(
    live: LiveConnection,
    exchanged: Exchanged,
    first: StartMessage | OpenLaneMessage,
    encode?: EncodeOptions,
  ): EndpointRequest {
    return beginRequest(exchanged, first, encode, async () => {
      const message = await this.#heard(live, exchanged.queue.next());
      if (message.type === 'tokens' && message.words !== undefined) {
        for (const hear of this.#hearers) hear(message.words);
      }
      return message;
    });
  }

  /**
   * What the endpoint cuts a text into. Throws what it refuses (`bad-frame` where it does not know the question), and
   * `limit-exceeded`, `endpoint-lost`, `aborted` (also after some seconds), `closed`.
   */
  async encode(text: string, special: boolean, signal?: AbortSignal): Promise<readonly number[]> {
    const late = this.#options.timeout(ENCODE_TIMEOUT_MS);
    const over = signal === undefined ? late : AbortSignal.any([signal, late]);
    const live = await this.#live(over);
    const id = this.#newId();
    const exchanged = live.open(id, over);
    try {
      exchanged.send({ type: 'encode', id, model: this.#options.model, text, special });
      const answer = await this.#heard(live, exchanged.queue.next());
      if (answer.type === 'encoded') return answer.tokens;
      throw new IsthmusError('bad-frame', `the endpoint answered a text with '${answer.type}'`);
    } finally {
      exchanged.forget();
    }
  }

  /** Round trip of a ping with padding, in ms. Throws `endpoint-lost`. */
  async ping(replyBytes: number, padding: Uint8Array): Promise<number> {
    return this.#ping(await this.#live(), replyBytes, padding);
  }

  async #ping(live: LiveConnection, replyBytes: number, padding: Uint8Array): Promise<number> {
    const id = this.#newId();
    const exchanged = live.open(id, this.#options.timeout(PING_TIMEOUT_MS));
    const started = this.#options.clock.now();
    try {
      exchanged.send({ type: 'ping', id, replyBytes, padding });
      await exchanged.queue.next();
      return this.#options.clock.now() - started;
    } finally {
      exchanged.forget();
    }
  }

  /** Waits for a message; while none comes, makes sure that someone is there to send one. */
  async #heard(live: LiveConnection, message: Promise<ServerMessage>): Promise<ServerMessage> {
    for (;;) {
      const silence = new IsthmusError('endpoint-lost', 'the endpoint fell silent');
      try {
        return await orAborted(message, this.#options.timeout(SILENCE_MS), () => silence);
      } catch (error) {
        if (error !== silence) throw error;
      }
      // The message is awaited again above, and fails with the connection.
      await this.#ping(live, 0, new Uint8Array(0)).catch(() => live.close(silence));
    }
  }

  /** Requests under way fail with `closed`. A connection that is still being opened is not waited for. */
  close(): void {
    if (this.#stop.signal.aborted) return;
    this.#stop.abort();
    this.#opening?.then((live) => live.close(closedError())).catch(() => undefined);
  }

  #newId(): number {
    this.#nextId += 1;
    return this.#nextId - 1;
  }

  async #live(signal?: AbortSignal): Promise<LiveConnection> {
    if (this.#stop.signal.aborted) throw closedError();
    this.#opening ??= this.#open();
    return orAborted(this.#opening, signal);
  }

  #open(): Promise<LiveConnection> {
    const opening = this.#handshake(() => {
      // A connection that was replaced meanwhile has nothing to say about the new one.
      if (this.#opening !== opening) return;
      this.#opening = undefined;
      this.#setState('down');
    }).then(
      (live) => {
        this.#failed = { times: 0, at: 0 };
        if (this.#opening === opening) this.#setState('up');
        return live;
      },
      (error: unknown) => {
        if (this.#opening === opening) this.#opening = undefined;
        this.#failed = { times: this.#failed.times + 1, at: this.#options.clock.now() };
        this.#setState('down');
        throw this.#stop.signal.aborted ? closedError() : error;
      },
    );
    return opening;
  }

  async #handshake(onClose: () => void): Promise<LiveConnection> {
    const { connect, model, timeout, onLoad } = this.#options;
    const connection = await connect({ signal: this.#stop.signal });
    const live = new LiveConnection(connection, timeout(HELLO_TIMEOUT_MS), onClose, (load) => {
      const own = Object.hasOwn(load, model) ? load[model] : undefined;
      if (own !== undefined) onLoad?.(own);
    });
    const stop = (): void => live.close(closedError());
    if (this.#stop.signal.aborted) stop();
    this.#stop.signal.addEventListener('abort', stop, { once: true });
    try {
      await live.hello(model);
      return live;
    } catch (error) {
      live.close(isIsthmusError(error) ? error : closedError());
      throw error;
    } finally {
      this.#stop.signal.removeEventListener('abort', stop);
    }
  }

  #setState(state: EndpointState): void {
    if (this.#state === state || this.#stop.signal.aborted) return;
    this.#state = state;
    this.#options.onState(state);
  }
}

function closedError(): IsthmusError {
  return new IsthmusError('closed', 'the session was closed');
}
