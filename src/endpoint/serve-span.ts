/** One request from its first feeds to its last token, apart from how it came and where answers go. */
import type { Phase, PhaseTensors, Span } from '../core/span.ts';
import type { TensorMap } from '../core/tensor.ts';
import { IsthmusError } from '../errors.ts';
import type { Manifest } from '../package/manifest.ts';
import { segmentsOf, stageAt } from '../package/segments.ts';
import type { DoneMessage, EndpointTiming } from '../protocol/messages.ts';
import { argmax, decodeGreedy } from '../runtime/decode.ts';
import type { StepOutput } from '../runtime/executor.ts';
import { checkFeeds } from './check-feeds.ts';
import type { HostedExecution, ModelHost } from './model-host.ts';

export interface SpanRequest {
  readonly span: Span;
  readonly tensors: PhaseTensors;
  readonly prefix: readonly number[];
  /** Tokens of the whole answer, those of the prefix included; steps to run, where the client sends them. */
  readonly maxTokens: number;
}

/** Where answers go; each waits until there is room. */
export interface SpanSink {
  token(step: number, token: number, times: AnswerTimes): Promise<void>;
  output(step: number, tensors: PhaseTensors, times: AnswerTimes): Promise<void>;
}

/** Since the answer before. */
export interface AnswerTimes {
  readonly timing: EndpointTiming;
  readonly segments: Readonly<Record<string, number>>;
}

/** Feeds of the next step, checked. */
export type NextStep = () => Promise<TensorMap>;

export interface ServedSpan {
  readonly reason: Exclude<DoneMessage['reason'], 'cancelled'>;
  readonly timing: EndpointTiming;
  readonly segments: Readonly<Record<string, number>>;
}

/** `once`: one answer. `loop`: the endpoint makes all tokens. `stepped`: the client sends each step. */
export type SpanKind = 'once' | 'loop' | 'stepped';

/** Throws `bad-option` for a span outside the model. */
export function spanKind(manifest: Manifest, span: Span): SpanKind {
  for (const segment of segmentsOf(manifest, span)) {
    const stage = stageAt(manifest, segment.stage);
    if (stage.kind !== 'loop') continue;
    return segment.from === stage.from && span.to === manifest.blocks.length ? 'loop' : 'stepped';
  }
  return 'once';
}

/** Everything that can be refused before work begins. Throws `bad-option`, `bad-tensor`, `input-too-long`. */
export function checkRequest(manifest: Manifest, request: SpanRequest, maxInputBytes: number): void {
  const kind = spanKind(manifest, request.span);
  if (kind !== 'loop' && request.prefix.length > 0) {
    throw new IsthmusError('bad-option', 'known tokens are replayed only by a span that runs the whole loop');
  }
  const vocabulary = manifest.stages.flatMap((stage) => (stage.kind === 'loop' ? [stage.vocabulary] : []))[0];
  if (vocabulary !== undefined && request.prefix.some((token) => token >= vocabulary)) {
    throw new IsthmusError('bad-option', `a token of the prefix is not one of ${vocabulary}`);
  }
  checkFeeds(manifest, request.span, request.tensors, maxInputBytes);
}

/**
 * Runs the request and closes what it opened, also when it fails.
 * @throws IsthmusError `aborted` when the signal fires, and what the host, the sink or `next` throw
 */
export async function serveSpan(
  host: ModelHost,
  request: SpanRequest,
  sink: SpanSink,
  next: NextStep,
  signal: AbortSignal,
): Promise<ServedSpan> {
  const execution = await host.open(request.span, signal);
  try {
    const reason = await answer(host.manifest, execution, request, timed(execution, sink), next, signal);
    return { reason, timing: execution.timing(), segments: { ...execution.segmentMs } };
  } finally {
    await execution.close();
  }
}

/** A sink that is told only what to send; times are those since it was last told something. */
interface TimedSink {
  token(step: number, token: number): Promise<void>;
  output(step: number, tensors: PhaseTensors): Promise<void>;
}

function timed(execution: HostedExecution, sink: SpanSink): TimedSink {
  let before: EndpointTiming = { queueMs: 0, computeMs: 0 };
  let told: Readonly<Record<string, number>> = {};
  const since = (): AnswerTimes => {
    const now = execution.timing();
    const segments = Object.entries(execution.segmentMs).flatMap(([key, ms]) => {
      const more = ms - (told[key] ?? 0);
      return more > 0 ? [[key, more] as const] : [];
    });
    told = { ...execution.segmentMs };
    const loadMs = (now.loadMs ?? 0) - (before.loadMs ?? 0);
    const timing = {
      queueMs: now.queueMs - before.queueMs,
      computeMs: now.computeMs - before.computeMs,
      ...(loadMs > 0 ? { loadMs } : {}),
    };
    before = now;
    return { timing, segments: Object.fromEntries(segments) };
  };
  return {
    token: (step, token) => sink.token(step, token, since()),
    output: (step, tensors) => sink.output(step, tensors, since()),
  };
}

async function answer(
  manifest: Manifest,
  execution: HostedExecution,
  request: SpanRequest,
  sink: TimedSink,
  next: NextStep,
  signal: AbortSignal,
): Promise<ServedSpan['reason']> {
  const { span, tensors, prefix } = request;
  const eosTokens = manifest.generation?.eosTokens ?? [];
  const bound = manifest.generation?.maxTokens ?? request.maxTokens;
  // Of the whole answer, so that a request taken over ends where it would have ended.
  const maxTokens = Math.min(request.maxTokens, bound) - prefix.length;
  const kind = spanKind(manifest, span);
  if (kind !== 'once' && maxTokens <= 0) return 'max-tokens';
  const first = await execution.start(tensors, prefix);
  if (kind === 'once') {
    await sink.output(0, phasesOf(first));
    return 'output';
  }
  if (kind === 'stepped') return stepped(execution, first, maxTokens, eosTokens, sink, next);
  let step = prefix.length;
  const { reason } = await decodeGreedy(execution, first, {
    eosTokens,
    maxTokens,
    signal,
    onToken: async (token) => {
      await sink.token(step, token);
      step += 1;
    },
  });
  return reason;
}

async function stepped(
  execution: HostedExecution,
  first: StepOutput,
  maxTokens: number,
  eosTokens: readonly number[],
  sink: TimedSink,
  next: NextStep,
): Promise<'eos' | 'max-tokens'> {
  let output = first;
  for (let step = 0; ; step += 1) {
    if (output.kind === 'logits') {
      const token = argmax(output.logits);
      if (eosTokens.includes(token)) return 'eos';
      await sink.token(step, token);
    } else {
      await sink.output(step, phasesOf(output));
    }
    if (step + 1 >= maxTokens) return 'max-tokens';
    output = await execution.step(await next());
  }
}

/** Outputs of a model that ends without a loop are those of its last pass. */
function phasesOf(output: StepOutput): PhaseTensors {
  if (output.kind === 'crossing') return output.tensors;
  if (output.kind === 'outputs') return { ['once' satisfies Phase]: output.tensors };
  throw new IsthmusError('internal', 'scores do not leave the endpoint');
}
