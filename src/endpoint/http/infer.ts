/** `POST /v2/models/{model}/infer`: a span of a model, in one exchange. */
import { CODECS, type Codec, PHASES, type Phase, type PhaseTensors, type Span } from '../../core/span.ts';
import { int64Tensor, type Tensor } from '../../core/tensor.ts';
import { IsthmusError } from '../../errors.ts';
import type { Manifest } from '../../package/manifest.ts';
import { tokensOf } from '../../protocol/common-fields.ts';
import {
  BINARY_CONTENT_TYPE,
  decodeInferRequest,
  encodeInferResponse,
  HEADER_LENGTH_HEADER,
  type IncomingInferRequest,
  JSON_CONTENT_TYPE,
  parseHeaderLength,
} from '../../protocol/infer-body.ts';
import { choiceField, countField, type JsonObject, listField } from '../../protocol/json.ts';
import {
  MAX_BLOCKS,
  MAX_FRAME_BYTES,
  MAX_HEADER_BYTES,
  MAX_JSON_BODY_BYTES,
  MAX_PREFIX_TOKENS,
  MAX_TOKENS_PER_REQUEST,
} from '../../protocol/limits.ts';
import type { OutgoingTensor } from '../../protocol/oip.ts';
import { groupByPhase } from '../../protocol/phase-tensors.ts';
import { isLossy, phaseOfName } from '../check-feeds.ts';
import { checkRequest, type ServedSpan, type SpanRequest, serveSpan, spanKind } from '../serve-span.ts';
import type { Service } from '../service.ts';
import { TOKENS_OUTPUT } from './metadata.ts';
import { readBody } from './read-body.ts';
import { type Exchange, reply } from './reply.ts';

interface OneShot extends SpanRequest {
  readonly codec: Codec;
}

/** Throws what is wrong with the request; nothing was answered then. */
export async function infer(exchange: Exchange, service: Service, model: string): Promise<void> {
  const { request, response } = exchange;
  const host = service.host(model);
  const abort = new AbortController();
  let stopped: IsthmusError | undefined;
  const release = service.admit((error) => {
    stopped = error;
    abort.abort();
  });
  const gone = (): void => abort.abort();
  response.once('close', gone);
  try {
    const headerBytes = parseHeaderLength(header(request.headers[HEADER_LENGTH_HEADER.toLowerCase()]));
    const body = await readBody(request, bodyLimit(headerBytes, service.limits.maxInputBytes), abort.signal);
    service.metrics.received(body.byteLength);
    const asked = decodeInferRequest(body, headerBytes);
    const oneShot = readOneShot(host.manifest, asked);
    checkRequest(host.manifest, oneShot, service.limits.maxInputBytes);
    const made: Made = { tokens: [], tensors: {} };
    const served = await serveSpan(host, oneShot, collect(made), noStep, abort.signal);
    service.metrics.worked(served.timing);
    service.metrics.tokens(made.tokens.length);
    const answer = encodeInferResponse({
      modelName: model,
      ...(asked.id === undefined ? {} : { id: asked.id }),
      parameters: report(served),
      outputs: selected(outputsOf(host.manifest, oneShot, made), asked),
    });
    service.metrics.sent(answer.bytes.byteLength);
    service.metrics.ended('infer', served.reason);
    reply(exchange, {
      type: answer.headerBytes === undefined ? JSON_CONTENT_TYPE : BINARY_CONTENT_TYPE,
      headers: {
        'Cache-Control': 'no-store',
        ...(answer.headerBytes === undefined ? {} : { [HEADER_LENGTH_HEADER]: String(answer.headerBytes) }),
      },
      body: answer.bytes,
    });
  } catch (error) {
    throw stopped ?? error;
  } finally {
    response.off('close', gone);
    release();
  }
}

/** Raw bytes are never longer than what they decode to; how long their text is, nobody can say. */
function bodyLimit(headerBytes: number | undefined, maxInputBytes: number): number {
  if (headerBytes === undefined) return MAX_JSON_BODY_BYTES;
  return Math.min(MAX_FRAME_BYTES, MAX_HEADER_BYTES + maxInputBytes);
}

interface Made {
  readonly tokens: number[];
  tensors: PhaseTensors;
}

function collect(made: Made) {
  return {
    token: async (_step: number, token: number) => {
      made.tokens.push(token);
    },
    output: async (_step: number, tensors: PhaseTensors) => {
      made.tensors = tensors;
    },
  };
}

/** One exchange has one step; `readOneShot` sees to it that none is asked for. */
function noStep(): Promise<never> {
  return Promise.reject(new IsthmusError('internal', 'a one-shot request has no further steps'));
}

/** The request's own parameters: `span`, `codec`, `max_tokens`, `prefix`; all optional. */
function readOneShot(manifest: Manifest, asked: IncomingInferRequest): OneShot {
  const { parameters } = asked;
  const span = readSpan(parameters, manifest.blocks.length);
  const wanted =
    parameters.max_tokens === undefined
      ? MAX_TOKENS_PER_REQUEST
      : countField(parameters.max_tokens, 'tokens of a request', MAX_TOKENS_PER_REQUEST);
  return {
    span,
    codec: parameters.codec === undefined ? 'fp32' : choiceField(parameters.codec, 'codec', CODECS),
    maxTokens: spanKind(manifest, span) === 'stepped' ? Math.min(wanted, 1) : wanted,
    prefix: tokensOf(parameters.prefix, 'tokens of a prefix', MAX_PREFIX_TOKENS),
    // A client of another make knows names, not our phases.
    tensors: groupByPhase(
      asked.inputs.map((input) => {
        const phase = input.parameters.phase ?? phaseOfName(manifest, span.from, input.name);
        return { ...input, parameters: { ...input.parameters, phase } };
      }),
    ),
  };
}

function readSpan(parameters: JsonObject, blocks: number): Span {
  if (parameters.span === undefined) return { from: 0, to: blocks };
  const [from, to, ...rest] = listField(parameters.span, 'span', 2);
  if (to === undefined || rest.length > 0) {
    throw new IsthmusError('bad-frame', 'a span is a pair of block numbers, [from, to)');
  }
  return {
    from: countField(from, 'first block of a span', MAX_BLOCKS),
    to: countField(to, 'end of a span', MAX_BLOCKS),
  };
}

interface Output extends OutgoingTensor {
  readonly tensor: Tensor;
}

function outputsOf(manifest: Manifest, { span, codec }: OneShot, made: Made): Output[] {
  if (span.to === manifest.blocks.length && spanKind(manifest, span) !== 'once') {
    return [{ name: TOKENS_OUTPUT, tensor: int64Tensor(made.tokens, [1, made.tokens.length]) }];
  }
  return PHASES.flatMap((phase: Phase) =>
    Object.entries(made.tensors[phase] ?? {}).map(([name, tensor]) => ({
      name,
      tensor,
      codec,
      lossy: isLossy(manifest, span.to, phase, name),
      parameters: { phase },
    })),
  );
}

/** The outputs that were asked for, each in the form that was asked for. Throws `bad-tensor`. */
function selected(
  outputs: readonly Output[],
  { outputs: wanted, binaryOutput }: IncomingInferRequest,
): Output[] {
  if (wanted.length === 0) return outputs.map((output) => ({ ...output, json: !binaryOutput }));
  return wanted.map(({ name, binary }) => {
    const output = outputs.find((candidate) => candidate.name === name);
    if (output !== undefined) return { ...output, json: !binary };
    throw new IsthmusError('bad-tensor', 'an output is asked for that this span does not have', {
      details: { outputs: outputs.map((candidate) => candidate.name) },
    });
  });
}

function report({ reason, timing, segments }: ServedSpan): JsonObject {
  const { queueMs, computeMs, loadMs = 0 } = timing;
  return { reason, queue_ms: queueMs, compute_ms: computeMs, load_ms: loadMs, segments };
}

function header(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}
