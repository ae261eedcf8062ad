/** One-shot inference over `fetch`, from any server of the Open Inference Protocol v2. */
import { IsthmusError, throwIfAborted, toIsthmusError } from '../errors.ts';
import { errorOfResponse } from '../protocol/http-errors.ts';
import {
  BINARY_CONTENT_TYPE,
  decodeInferResponse,
  encodeInferRequest,
  HEADER_LENGTH_HEADER,
  type IncomingInferResponse,
  type InferBody,
  JSON_CONTENT_TYPE,
  parseHeaderLength,
  type RequestedOutput,
} from '../protocol/infer-body.ts';
import type { JsonObject } from '../protocol/json.ts';
import { MAX_FRAME_BYTES } from '../protocol/limits.ts';
import type { OutgoingTensor } from '../protocol/oip.ts';

export interface HttpInferOptions {
  /** The platform's, or one that adds credentials. */
  readonly fetch: typeof fetch;
  readonly id?: string;
  /** Of the request, e.g. the span to run. */
  readonly parameters?: JsonObject;
  /** Default: all, as raw bytes. */
  readonly outputs?: readonly RequestedOutput[];
  readonly signal?: AbortSignal;
  /** Ms for the whole exchange. Default: no limit, since only the caller knows the work. */
  readonly timeoutMs?: number;
}

/** An error's body is a sentence; anything longer is a page of some proxy. */
const MAX_ERROR_BODY_BYTES = 64 * 2 ** 10;

/**
 * `POST {baseUrl}/v2/models/{model}/infer` with the binary tensor extension.
 *
 * Throws `endpoint-lost` when there is no answer (or none in time), `aborted`, what the endpoint
 * answered with (`unknown-model`, `bad-tensor`, `endpoint-failed`, ...), and `bad-frame`, `bad-tensor`
 * or `limit-exceeded` for an answer that does not follow the protocol.
 */
export async function httpInfer(
  baseUrl: string,
  model: string,
  inputs: readonly OutgoingTensor[],
  options: HttpInferOptions,
): Promise<IncomingInferResponse> {
  throwIfAborted(options.signal);
  const body = encodeInferRequest({
    ...(options.id === undefined ? {} : { id: options.id }),
    parameters: options.parameters ?? {},
    inputs,
    outputs: options.outputs ?? [],
    binaryOutput: true,
  });
  const url = `${baseUrl.replace(/\/+$/, '')}/v2/models/${encodeURIComponent(model)}/infer`;
  const deadline = new AbortController();
  const timer =
    options.timeoutMs === undefined ? undefined : setTimeout(() => deadline.abort(), options.timeoutMs);
  const signals = options.signal === undefined ? [deadline.signal] : [options.signal, deadline.signal];
  try {
    return await exchange(url, body, options.fetch, AbortSignal.any(signals));
  } catch (error) {
    throwIfAborted(options.signal);
    if (!deadline.signal.aborted) throw toIsthmusError(error, 'endpoint-lost');
    throw new IsthmusError('endpoint-lost', `no answer within ${options.timeoutMs} ms`, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

async function exchange(
  url: string,
  { bytes, headerBytes }: InferBody,
  send: typeof fetch,
  signal: AbortSignal,
): Promise<IncomingInferResponse> {
  const headers: Record<string, string> =
    headerBytes === undefined
      ? { 'Content-Type': JSON_CONTENT_TYPE }
      : { 'Content-Type': BINARY_CONTENT_TYPE, [HEADER_LENGTH_HEADER]: String(headerBytes) };
  const response = await send(url, { method: 'POST', headers, body: bytes, signal });
  if (!response.ok) {
    throw errorOfResponse(response.status, await readUpTo(response, MAX_ERROR_BODY_BYTES, 'cut'));
  }
  const headerLength = parseHeaderLength(response.headers.get(HEADER_LENGTH_HEADER));
  return decodeInferResponse(await readUpTo(response, MAX_FRAME_BYTES, 'refuse'), headerLength);
}

/** The body as it arrives, so that what is too long is never held. Throws `limit-exceeded` for `refuse`. */
export async function readUpTo(
  response: Response,
  limit: number,
  beyond: 'refuse' | 'cut',
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  // Not `for await`: streams of browsers have no async iterator everywhere.
  const reader = response.body?.getReader();
  for (let next = await reader?.read(); next?.value !== undefined; next = await reader?.read()) {
    length += next.value.byteLength;
    chunks.push(next.value);
    if (length <= limit) continue;
    await reader?.cancel();
    if (beyond === 'cut') break;
    throw new IsthmusError('limit-exceeded', `the answer is longer than ${limit} bytes`, {
      details: { what: 'bytes of an answer', limit },
    });
  }
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return bytes.subarray(0, limit);
}
