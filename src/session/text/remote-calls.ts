/**
 * The calls of one lane over the wire: sent in order without waiting for answers, as many as the endpoint takes
 * at once, and answered in that order. An error ends the lane and every call that is not answered yet.
 */
import { IsthmusError, throwIfAborted, toIsthmusError } from '../../errors.ts';
import type { EncodeOptions } from '../../protocol/frame.ts';
import type {
  ForwardedMessage,
  ForwardMessage,
  LoopMessage,
  ReadStateMessage,
  WriteStateMessage,
} from '../../protocol/lane-messages.ts';
import { MAX_CALL_BYTES_IN_FLIGHT, MAX_CALLS_IN_FLIGHT } from '../../protocol/limits.ts';
import type { EndpointTiming, ServerMessage } from '../../protocol/messages.ts';
import { InTurn } from '../../runtime/in-turn.ts';
import type { EndpointRequest } from '../endpoint-request.ts';

type LaneCall = ForwardMessage | LoopMessage | ReadStateMessage | WriteStateMessage;

/** A call without what this module gives it. */
type Unsent<T> = T extends unknown ? Omit<T, 'id' | 'call'> : never;
export type UnsentCall = Unsent<LaneCall>;

/** A call that was sent; `number` names it. */
export interface SentCall<T> {
  readonly number: number;
  readonly answer: Promise<T>;
}

/** Of several messages where it is long. Wrapped: waiting until it is sent is not waiting for its answer. */
export interface Sent<T> {
  readonly answer: Promise<T>;
}

interface Pending {
  readonly bytes: number;
  /** Somebody waits for its answer, and for no earlier one: a round trip. */
  readonly isTrip: boolean;
  /** Resolves when the call is answered, well or not. */
  readonly over: Promise<unknown>;
}

export type NextMessage = () => Promise<ServerMessage>;

export type TellTimes = (rows: number, timing: EndpointTiming) => void;

/** Hears a call that is answered by one message. */
export function oneAnswer(rows: number, tell: TellTimes) {
  return async (next: NextMessage, call: number): Promise<ForwardedMessage> => {
    const message = await next();
    if (message.type !== 'forwarded' || message.call !== call) {
      throw new IsthmusError('bad-frame', `call ${call} was answered by '${message.type}' of another`);
    }
    tell(rows, message.timing);
    return message;
  };
}

export class RemoteCalls {
  readonly #request: EndpointRequest;
  readonly #onEnd: () => void;
  readonly #sending = new InTurn();
  readonly #pending = new Set<Pending>();
  /** Answers of calls of which it is not known beforehand what the state will hold. */
  readonly #uncertain = new Set<Promise<unknown>>();
  #last: Promise<unknown> = Promise.resolve();
  #next = 0;
  #trips = 0;
  #failure: IsthmusError | undefined;

  /** @param onEnd called once, when the lane has ended for whatever reason */
  constructor(request: EndpointRequest, onEnd: () => void) {
    this.#request = request;
    this.#onEnd = onEnd;
  }

  get isOver(): boolean {
    return this.#failure !== undefined;
  }

  /** Round trips of answered calls that were waited for; of calls on their way together it is one. */
  get trips(): number {
    return this.#trips;
  }

  /**
   * Work that checks and sends, in the order of the caller's calls and once it is known what the state holds.
   * Throws why the lane has ended, and `aborted` when the signal fired before.
   */
  send<T>(work: () => T | Promise<T>, signal?: AbortSignal): Promise<T> {
    return this.#sending.do(async () => {
      await Promise.allSettled([...this.#uncertain]);
      if (this.#failure !== undefined) throw this.#failure;
      throwIfAborted(signal);
      return work();
    });
  }

  /**
   * Resolves when so many more bytes may be sent. To be called within `send`; the call itself is made without
   * waiting in between.
   */
  async room(bytes: number): Promise<void> {
    for (;;) {
      const held = [...this.#pending].reduce((sum, call) => sum + call.bytes, 0);
      const [first] = this.#pending;
      const fits = bytes === 0 || held + bytes <= MAX_CALL_BYTES_IN_FLIGHT;
      if (first === undefined || (fits && this.#pending.size < MAX_CALLS_IN_FLIGHT)) break;
      await first.over;
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  /**
   * Queues a frame and awaits its answer behind all others. Throws what cannot be encoded; that leaves the
   * lane as it was.
   * @param options.bringsNothing its answer is not waited for: rows that only fill the state
   * @param options.isUncertain later calls wait for the answer before they are checked
   */
  call<T>(
    unsent: UnsentCall,
    receive: (next: NextMessage, number: number) => Promise<T>,
    options: {
      readonly bytes?: number;
      readonly bringsNothing?: boolean;
      readonly isUncertain?: boolean;
      readonly encode?: EncodeOptions;
    } = {},
  ): SentCall<T> {
    const number = this.#next;
    this.#next += 1;
    // Each kind of call has its own fields, and gets the two that all have.
    this.#request.send({ ...unsent, id: this.#request.id, call: number } as LaneCall, options.encode);
    const isShared = [...this.#pending].some((earlier) => earlier.isTrip);
    const isTrip = !(options.bringsNothing ?? false) && !isShared;
    const answer = this.#last.then(() => this.#receive(receive, number, isTrip));
    const over = answer.catch(() => undefined);
    this.#last = over;
    const pending: Pending = { bytes: options.bytes ?? 0, isTrip, over };
    this.#pending.add(pending);
    if (options.isUncertain ?? false) this.#uncertain.add(over);
    over.finally(() => {
      this.#pending.delete(pending);
      this.#uncertain.delete(over);
    });
    return { number, answer };
  }

  halt(call: number): void {
    if (this.#failure !== undefined) return;
    try {
      this.#request.send({ type: 'halt', id: this.#request.id, call });
    } catch {
      // The connection is gone, which the loop itself will hear.
    }
  }

  /** Nothing more is wanted, and that is what every call hears from now on. */
  close(error: IsthmusError): void {
    this.#end(error);
    this.#failure = error;
  }

  /** Pending calls fail with `error`; the endpoint frees the lane. */
  #end(error: IsthmusError): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#request.cancel();
    this.#onEnd();
  }

  async #receive<T>(
    receive: (next: NextMessage, number: number) => Promise<T>,
    number: number,
    isTrip: boolean,
  ): Promise<T> {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      const result = await receive(() => this.#request.next(), number);
      if (isTrip) this.#trips += 1;
      return result;
    } catch (error) {
      this.#end(toIsthmusError(error));
      throw this.#failure ?? error;
    }
  }
}
