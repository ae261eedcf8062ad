/** One lane on a stream: its calls in order, its answers as messages, its end by a cancel or one `error`. */
import { type IsthmusError, throwIfAborted, toIsthmusError, toWireError } from '../../errors.ts';
import type { EncodeOptions } from '../../protocol/frame.ts';
import type { OpenLaneMessage } from '../../protocol/lane-messages.ts';
import type { ServerMessage } from '../../protocol/messages.ts';
import { loopOf } from '../../runtime/lane-check.ts';
import type { HostedLane } from '../hosted-lane.ts';
import { idleError } from '../idle-error.ts';
import type { LaneSeat } from '../lane-registry.ts';
import type { Service } from '../service.ts';
import { StateBook } from '../state-bytes.ts';
import { CallInbox, type LaneCall } from './call-inbox.ts';
import { LaneCalls } from './lane-calls.ts';
import { WordTeller } from './word-teller.ts';

export interface StreamLaneOptions {
  readonly service: Service;
  readonly open: OpenLaneMessage;
  /** Throws what the message cannot be encoded for. */
  readonly send: (message: ServerMessage, options?: EncodeOptions) => void;
  /** Resolves when the connection can take more. */
  readonly room: () => Promise<void>;
  /** Called once; the id is free again. */
  readonly onEnd: () => void;
}

export class StreamLane {
  readonly #options: StreamLaneOptions;
  readonly #inbox = new CallInbox();
  readonly #abort = new AbortController();
  readonly #seat: LaneSeat;
  readonly #lane: HostedLane;
  readonly #calls: LaneCalls;
  /** Of loops that were told to end, by call. */
  readonly #halts = new Map<number, AbortController>();
  #working = false;
  #idle: NodeJS.Timeout | undefined;
  /** Set when the endpoint stops: the lane ends as soon as no call is left. */
  #stopping: IsthmusError | undefined;

  /** Throws `unknown-model`, `unsupported-model`, `endpoint-stopping`, `limit-exceeded`. */
  constructor(options: StreamLaneOptions) {
    const { service, open, send, room } = options;
    this.#options = options;
    const host = service.host(open.model);
    const { stage, contextLength } = loopOf(host.manifest);
    this.#seat = service.admitLane((error) => this.#stopWhenIdle(error));
    try {
      this.#lane = host.openLane();
    } catch (error) {
      this.#seat.leave();
      throw error;
    }
    this.#calls = new LaneCalls({
      manifest: host.manifest,
      lane: this.#lane,
      book: new StateBook(stage, contextLength),
      seat: this.#seat,
      metrics: service.metrics,
      open,
      teller: new WordTeller(service.words.get(open.model)),
      signal: this.#abort.signal,
      send,
      room,
    });
    this.#rest();
  }

  /** Takes a call; one that cannot be taken ends the lane. */
  put(call: LaneCall): void {
    try {
      this.#inbox.put(call);
    } catch (error) {
      this.fail(toIsthmusError(error));
      return;
    }
    if (call.type === 'loop') this.#halts.set(call.call, new AbortController());
    clearTimeout(this.#idle);
    if (this.#working) return;
    this.#working = true;
    this.#work().catch((error: unknown) => {
      this.#options.service.log(`a lane could not be answered: ${toIsthmusError(error).message}`);
    });
  }

  halt(call: number): void {
    this.#halts.get(call)?.abort();
  }

  cancel(): void {
    this.#end();
  }

  fail(error: IsthmusError): void {
    const { service, open, send } = this.#options;
    if (!this.#end()) return;
    service.metrics.failed('lane', error.code);
    send({ type: 'error', id: open.id, error: toWireError(error, 'endpoint-failed') });
  }

  async #work(): Promise<void> {
    for (let call = this.#inbox.take(); call !== undefined; call = this.#inbox.take()) {
      // Counted as open: a stop waits for it, and after the time of grace ends it at its next pass.
      const release = this.#options.service.begin((error) => this.fail(error));
      try {
        await this.#calls.answer(call, this.#halts.get(call.call)?.signal ?? this.#abort.signal);
        throwIfAborted(this.#abort.signal);
      } catch (error) {
        this.fail(toIsthmusError(error, 'endpoint-failed'));
      } finally {
        this.#halts.delete(call.call);
        release();
      }
    }
    this.#working = false;
    if (this.#abort.signal.aborted) return;
    if (this.#stopping !== undefined) this.fail(this.#stopping);
    else this.#rest();
  }

  #rest(): void {
    const { idleLaneMs } = this.#options.service.limits;
    this.#idle = setTimeout(() => this.fail(idleError('call', idleLaneMs)), idleLaneMs);
  }

  #stopWhenIdle(error: IsthmusError): void {
    this.#stopping = error;
    if (!this.#working) this.fail(error);
  }

  /** Frees everything, behind the call under way. False when that was done before. */
  #end(): boolean {
    if (this.#abort.signal.aborted) return false;
    this.#abort.abort();
    clearTimeout(this.#idle);
    this.#inbox.clear();
    this.#halts.clear();
    this.#options.onEnd();
    this.#lane
      .close()
      .catch(() => undefined)
      .finally(() => this.#seat.leave());
    return true;
  }
}
