/** Runs a chosen plan: all here, a stream from the endpoint, or token by token across the cut. */
import type { Clock } from '../core/clock.ts';
import type { Codec, Phase, PhaseTensors } from '../core/span.ts';
import type { TensorMap } from '../core/tensor.ts';
import { IsthmusError, isIsthmusError, throwIfAborted } from '../errors.ts';
import type { LinkObservation } from '../link/estimator.ts';
import type { Manifest } from '../package/manifest.ts';
import type { PlanShape } from '../planner/types.ts';
import type { EncodeOptions } from '../protocol/frame.ts';
import type { DoneMessage, ServerMessage, TokensMessage } from '../protocol/messages.ts';
import type { SpanExecution, SpanExecutor } from '../runtime/executor.ts';
import type { GenerateOptions, GenerateRequest, GenerateResult } from '../runtime/runner.ts';
import type { Traffic } from '../transport/transport.ts';
import type { EndpointLink } from './endpoint-link.ts';
import type { EndpointRequest } from './endpoint-request.ts';
import { Exchange } from './exchange.ts';

export interface Work {
  readonly manifest: Manifest;
  readonly inputs: TensorMap;
  readonly maxTokens: number;
  /** Tokens that are out already, when a plan takes over from one that failed. */
  readonly prefix: readonly number[];
  readonly onToken: (token: number) => void;
  readonly signal?: AbortSignal;
  readonly clock: Clock;
  /** Told what is read from then on: a plan that is stopped returns nothing. */
  readonly onMeter?: (meter: Meter) => void;
}

/** What a plan under way has sent, and worked here as far as its runner tells. */
export interface Meter {
  readonly traffic?: () => Traffic;
  readonly deviceMs?: () => number;
}

export interface Places {
  /** Loads blocks `[0, cut)` on the device. */
  readonly device: (cut: number) => Promise<SpanExecutor>;
  /** A whole request on the device, where that runs closest to its runtime. */
  readonly generate: (request: GenerateRequest, options: GenerateOptions) => Promise<GenerateResult>;
  readonly link: EndpointLink | undefined;
  readonly observe: (observation: LinkObservation) => void;
}

export interface Executed {
  readonly outputs: TensorMap;
  /** Runtime ms on the device by segment and phase. */
  readonly deviceMs: Readonly<Record<string, number>>;
  /** What the endpoint reported at its end; absent for `local`, and when it was lost after the last token. */
  readonly endpoint?: DoneMessage;
  readonly traffic: Traffic;
  readonly roundTrips: number;
  /** Ms spent between sending and the answer, less what the endpoint worked. */
  readonly linkMs: number;
}

export const NO_TRAFFIC: Traffic = { framesUp: 0, bytesUp: 0, framesDown: 0, bytesDown: 0 };

/** All of some times by segment and phase. */
export function sumMs(segmentMs: Readonly<Record<string, number>>): number {
  return Object.values(segmentMs).reduce((sum, ms) => sum + ms, 0);
}

/** Throws what the runner, the link or the endpoint throw; tokens made until then were reported. */
export async function executePlan(plan: PlanShape, work: Work, places: Places): Promise<Executed> {
  throwIfAborted(work.signal);
  if (plan.kind === 'local') return runLocal(plan, work, places);
  const front = plan.cut > 0 ? (await places.device(plan.cut)).open() : undefined;
  work.onMeter?.({ deviceMs: () => sumMs(front?.segmentMs ?? {}) });
  try {
    return await runAcross(plan, work, places, front);
  } finally {
    await front?.close();
  }
}

async function runLocal(plan: PlanShape, work: Work, places: Places): Promise<Executed> {
  await places.device(plan.cut);
  const { outputs, segmentMs } = await places.generate(
    { inputs: work.inputs, prefix: work.prefix, maxTokens: work.maxTokens },
    { onToken: work.onToken, ...(work.signal === undefined ? {} : { signal: work.signal }) },
  );
  return { outputs, deviceMs: segmentMs, traffic: NO_TRAFFIC, roundTrips: 0, linkMs: 0 };
}

async function runAcross(
  plan: PlanShape,
  work: Work,
  places: Places,
  front: SpanExecution | undefined,
): Promise<Executed> {
  const { link } = places;
  if (link === undefined) throw new IsthmusError('endpoint-lost', 'this session has no endpoint');
  const encode = encodingOf(plan, work.manifest);
  const crossing = await frontOutput(front, work);
  throwIfAborted(work.signal);
  const stepwise = crossing.step !== undefined;
  const exchange = new Exchange(work.clock, places.observe);
  const span = { from: plan.cut, to: work.manifest.blocks.length };
  const request = await link.start(
    {
      span,
      tensors: crossing,
      codec: encode.codec,
      maxTokens: work.maxTokens,
      prefix: stepwise ? [] : work.prefix,
    },
    encode,
    work.signal,
  );
  exchange.sent(request);
  work.onMeter?.({ traffic: () => request.traffic() });
  try {
    const done =
      stepwise && front !== undefined
        ? await stepTokens(request, front, work, encode, exchange)
        : await streamTokens(request, work, exchange);
    return {
      outputs: exchange.outputs,
      deviceMs: front?.segmentMs ?? {},
      ...(done === undefined ? {} : { endpoint: done }),
      traffic: request.traffic(),
      roundTrips: exchange.roundTrips,
      linkMs: exchange.linkMs,
    };
  } finally {
    request.cancel();
  }
}

async function frontOutput(front: SpanExecution | undefined, work: Work): Promise<PhaseTensors> {
  if (front === undefined) return { once: work.inputs };
  const output = await front.start({ once: work.inputs });
  if (output.kind !== 'crossing') throw new IsthmusError('internal', 'a split must end at a cut');
  return output.tensors;
}

/** The endpoint runs the loop; tokens flow down with no round trip between them. */
async function streamTokens(
  request: EndpointRequest,
  work: Work,
  exchange: Exchange,
): Promise<DoneMessage | undefined> {
  let known = work.prefix.length;
  for (;;) {
    const message = await nextMessage(request, known, work);
    if (message === undefined) return undefined;
    exchange.received(message.type === 'tokens' || message.type === 'output' ? message : undefined);
    if (message.type === 'done') return message;
    if (message.type !== 'tokens') continue;
    for (const token of newTokens(message, known)) {
      known += 1;
      work.onToken(token);
    }
  }
}

/** The device runs its span for each token and waits for the endpoint's answer. */
async function stepTokens(
  request: EndpointRequest,
  front: SpanExecution,
  work: Work,
  encode: Encoding,
  exchange: Exchange,
): Promise<DoneMessage | undefined> {
  for (let step = 0; ; step += 1) {
    const message = await nextMessage(request, Math.max(step, work.prefix.length), work);
    if (message === undefined) return undefined;
    exchange.received(message.type === 'tokens' ? message : undefined);
    if (message.type === 'done') return message;
    if (message.type !== 'tokens')
      throw new IsthmusError('bad-frame', `expected tokens, got '${message.type}'`);
    const token = work.prefix[step] ?? message.tokens[0];
    if (token === undefined)
      throw new IsthmusError('bad-frame', 'the endpoint answered a step without a token');
    if (step >= work.prefix.length) work.onToken(token);
    throwIfAborted(work.signal);
    if (step + 1 >= work.maxTokens) continue;
    const output = await front.step([token]);
    if (output.kind !== 'crossing') throw new IsthmusError('internal', 'a split must end at a cut');
    request.send({ type: 'step', id: request.id, step: step + 1, tensors: output.tensors }, encode);
    exchange.sent(request);
  }
}

/** `undefined` when the endpoint is lost with nothing but its last word outstanding: the answer is whole. */
async function nextMessage(
  request: EndpointRequest,
  known: number,
  work: Work,
): Promise<ServerMessage | undefined> {
  try {
    return await request.next();
  } catch (error) {
    const isWanted = isIsthmusError(error) && (error.code === 'aborted' || error.code === 'closed');
    if (known < work.maxTokens || isWanted) throw error;
    return undefined;
  }
}

function newTokens(message: TokensMessage, known: number): readonly number[] {
  if (message.step > known) {
    throw new IsthmusError('bad-frame', `the endpoint skipped from token ${known} to ${message.step}`);
  }
  return message.tokens.slice(known - message.step);
}

type Encoding = EncodeOptions & { readonly codec: Codec };

function encodingOf(plan: PlanShape, manifest: Manifest): Encoding {
  const crossings = manifest.cuts[plan.cut]?.crossings ?? {};
  const lossy = (phase: Phase, name: string): boolean =>
    crossings[phase]?.sent.some((tensor) => tensor.name === name && tensor.lossy) === true;
  return { codec: plan.codec === 'none' ? 'fp32' : plan.codec, lossy };
}
