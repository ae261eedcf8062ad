/**
 * What the bench calls inside the page. Everything is timed here, by the page's own clock, so that the
 * way between the bench and the browser is in no figure.
 */
import {
  createSession,
  type Explanation,
  type PlanChoice,
  type RequestReport,
  type SessionEvent,
  type SessionOptions,
  type TextPlan,
  type TextSession,
  transcribe,
} from 'isthmus';
import { askCloud, type CloudCodec } from './cloud.ts';
import { Direct } from './direct.ts';
import type { DirectOpen } from './direct-messages.ts';
import { SpeechTransformers } from './speech-transformers.ts';
import type { SpeechOpen } from './speech-transformers-worker.ts';
import { type Answered, answer, chat, tell } from './text-answer.ts';

export interface Timed {
  readonly text: string;
  readonly tokens: readonly number[];
  /** From the call to the whole text. */
  readonly ms: number;
  /** Ms inside the runtime. */
  readonly runtimeMs: number;
}

export type Transcribed = Timed & { readonly report: RequestReport };

/** What a visit asks for: a recording that was kept, or a prompt in words. */
export type Errand =
  | { readonly name: string; readonly plan: PlanChoice }
  | { readonly prompt: string; readonly maxTokens: number; readonly plan: TextPlan };

const recordings = new Map<string, Float32Array>();
const events: SessionEvent[] = [];
let session: TextSession | undefined;
/** Resolves when the session has a profile of its device. */
let measured: Promise<void> = Promise.resolve();
let direct: Direct | undefined;
let transformers: SpeechTransformers | undefined;

function opened<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('not open');
  return value;
}

const recording = (name: string): Float32Array => opened(recordings.get(name));

const api = {
  isolated: (): boolean => globalThis.crossOriginIsolated,

  /** @param base64 the bytes of float32 samples */
  keep(name: string, base64: string): void {
    const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
    recordings.set(name, new Float32Array(bytes.buffer));
  },

  async open(packageUrl: string, options: SessionOptions): Promise<{ threads: number }> {
    await session?.close();
    events.length = 0;
    let note: () => void = () => undefined;
    measured = new Promise((resolve) => {
      note = resolve;
    });
    const onEvent = (event: SessionEvent): void => {
      events.push(event);
      if (event.type === 'profile') note();
    };
    session = await createSession(packageUrl, { ...options, onEvent });
    return { threads: session.threads };
  },

  events: (): readonly SessionEvent[] => events,

  /** Behind it a device that is new is measured; what is timed next is not to run beside that. */
  async prefetch(): Promise<void> {
    const { manifest } = opened(session);
    await opened(session).prefetch();
    if (manifest.text === undefined) await measured;
  },

  async explain(name: string, tokens: number): Promise<Explanation> {
    return opened(session).explain({ units: recording(name).length, tokens });
  },

  async transcribe(name: string, plan: PlanChoice): Promise<Transcribed> {
    const started = performance.now();
    const { text, tokens, reports } = await transcribe(opened(session), recording(name), { plan });
    const ms = performance.now() - started;
    const report = opened(reports[0]);
    return {
      text,
      tokens,
      ms,
      runtimeMs: report.spans.reduce((sum, span) => sum + span.measuredMs, 0),
      report,
    };
  },

  /** All of `maxTokens` new ones, greedily, behind a prompt that no earlier one began like. */
  generate: (tokens: readonly number[], maxTokens: number, plan: TextPlan): Promise<Answered> =>
    answer(opened(session), tokens, { maxTokens, plan }),

  chat: (content: string, maxTokens: number, plan: TextPlan): Promise<string> =>
    chat(opened(session), content, { maxTokens, plan }),

  /** A first visit: opens a session and asks at once, in words and for words. `openMs` of it is the opening. */
  async visit(
    packageUrl: string,
    options: SessionOptions,
    errand: Errand,
  ): Promise<{ readonly openMs: number; readonly result: Transcribed | Answered }> {
    const started = performance.now();
    await api.open(packageUrl, options);
    const openMs = performance.now() - started;
    if ('name' in errand) return { openMs, result: await api.transcribe(errand.name, errand.plan) };
    const { prompt, ...asked } = errand;
    return { openMs, result: await tell(opened(session), prompt, asked) };
  },

  /** Whether the browser can encode Opus. */
  hasOpus: async (): Promise<boolean> =>
    typeof AudioEncoder !== 'undefined' &&
    (await AudioEncoder.isConfigSupported({ codec: 'opus', sampleRate: 16_000, numberOfChannels: 1 }))
      .supported === true,

  cloud: (url: string, name: string, codec: CloudCodec) => askCloud(url, name, recording(name), codec),

  async openDirect(open: DirectOpen): Promise<{ threads: number }> {
    direct?.close();
    direct = new Direct();
    return { threads: await direct.open(open) };
  },

  async runDirect(name: string, maxTokens: number): Promise<Omit<Timed, 'text'>> {
    const samples = recording(name);
    const started = performance.now();
    const { tokens, encoderMs, decoderMs } = await opened(direct).run(samples, maxTokens);
    return { tokens, ms: performance.now() - started, runtimeMs: encoderMs + decoderMs };
  },

  async openTransformers(open: SpeechOpen): Promise<void> {
    transformers?.close();
    transformers = new SpeechTransformers();
    await transformers.open(open);
  },

  async runTransformers(name: string, maxTokens: number): Promise<Pick<Timed, 'tokens' | 'ms'>> {
    const samples = recording(name);
    const started = performance.now();
    const tokens = await opened(transformers).run(samples, maxTokens);
    return { tokens, ms: performance.now() - started };
  },

  async close(): Promise<void> {
    await session?.close();
    direct?.close();
    transformers?.close();
    session = undefined;
    direct = undefined;
    transformers = undefined;
  },
};

export type BenchApi = typeof api;

declare global {
  // `var` is what makes a property of the global object.
  var bench: BenchApi;
}

globalThis.bench = api;
