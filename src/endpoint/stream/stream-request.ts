/** One request on a stream: its answers as messages, its end as exactly one `done` or `error`. */
import type { Phase, PhaseTensors } from '../../core/span.ts';
import { IsthmusError, toIsthmusError, toWireError } from '../../errors.ts';
import type { EncodeOptions } from '../../protocol/frame.ts';
import type {
  DoneMessage,
  EndpointTiming,
  ServerMessage,
  StartMessage,
  StepMessage,
} from '../../protocol/messages.ts';
import { checkStep, isLossy } from '../check-feeds.ts';
import type { ModelHost } from '../model-host.ts';
import { type AnswerTimes, checkRequest, type SpanSink, serveSpan, spanKind } from '../serve-span.ts';
import type { Service } from '../service.ts';
import { StepInbox } from './step-inbox.ts';
import { WordTeller } from './word-teller.ts';

export interface StreamRequestOptions {
  readonly service: Service;
  readonly start: StartMessage;
  /** Throws what the message cannot be encoded for. */
  readonly send: (message: ServerMessage, options?: EncodeOptions) => void;
  /** Resolves when the connection can take more. */
  readonly room: () => Promise<void>;
  /** Called once, before the last message is sent: the id is free again. */
  readonly onEnd: () => void;
}

export class StreamRequest {
  readonly #options: StreamRequestOptions;
  readonly #abort = new AbortController();
  readonly #inbox: StepInbox;
  /** What to say at the end instead of what happened. */
  #verdict: IsthmusError | 'cancelled' | undefined;

  /** Begins at once; nothing is thrown, failures are messages. */
  constructor(options: StreamRequestOptions) {
    this.#options = options;
    this.#inbox = new StepInbox(options.service.limits.idleRequestMs);
    this.#serve().catch((error: unknown) => {
      options.service.log(`a request could not be answered: ${toIsthmusError(error).message}`);
    });
  }

  step(message: StepMessage): void {
    const { service, start } = this.#options;
    try {
      const { manifest } = service.host(start.model);
      if (spanKind(manifest, start.span) !== 'stepped') {
        throw new IsthmusError('bad-frame', 'this request takes no steps');
      }
      this.#inbox.put(
        message.step,
        checkStep(manifest, start.span, message.tensors, service.limits.maxInputBytes),
      );
    } catch (error) {
      this.fail(toIsthmusError(error));
    }
  }

  cancel(): void {
    this.#end('cancelled');
  }

  fail(error: IsthmusError): void {
    this.#end(error);
  }

  #end(verdict: IsthmusError | 'cancelled'): void {
    this.#verdict ??= verdict;
    this.#abort.abort();
  }

  async #serve(): Promise<void> {
    const { service, start, send, onEnd } = this.#options;
    let last: ServerMessage;
    try {
      last = await this.#run();
      service.metrics.ended('stream', last.reason);
    } catch (error) {
      // What made us abort says more than the abort that it caused.
      const verdict = this.#verdict ?? error;
      last =
        verdict === 'cancelled'
          ? this.#done('cancelled', { queueMs: 0, computeMs: 0 }, {})
          : { type: 'error', id: start.id, error: toWireError(verdict, 'endpoint-failed') };
      if (last.type === 'error') service.metrics.failed('stream', last.error.code);
      else service.metrics.ended('stream', 'cancelled');
    }
    onEnd();
    send(last);
  }

  async #run(): Promise<DoneMessage> {
    const { service, start } = this.#options;
    const release = service.admit((error) => this.fail(error));
    try {
      const host = service.host(start.model);
      checkRequest(host.manifest, start, service.limits.maxInputBytes);
      const { signal } = this.#abort;
      const next = () => this.#inbox.take(signal);
      const { reason, timing, segments } = await serveSpan(host, start, this.#sink(host), next, signal);
      service.metrics.worked(timing);
      return this.#done(reason, timing, segments);
    } finally {
      release();
    }
  }

  #sink(host: ModelHost): SpanSink {
    const { service, start, send, room } = this.#options;
    const { id, span, codec } = start;
    const lossy = (phase: Phase, name: string): boolean => isLossy(host.manifest, span.to, phase, name);
    const teller = start.words && new WordTeller(service.words.get(start.model));
    return {
      token: async (step: number, token: number, times: AnswerTimes) => {
        await room();
        send({ type: 'tokens', id, step, tokens: [token], ...teller?.of([token]), ...times });
        service.metrics.tokens(1);
      },
      output: async (step: number, tensors: PhaseTensors, times: AnswerTimes) => {
        await room();
        send({ type: 'output', id, step, tensors, ...times }, { codec, lossy });
      },
    };
  }

  #done(
    reason: DoneMessage['reason'],
    timing: EndpointTiming,
    segments: DoneMessage['segments'],
  ): DoneMessage {
    return { type: 'done', id: this.#options.start.id, reason, timing, segments };
  }
}
