import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { float32Tensor } from '../../src/core/tensor.ts';
import { IsthmusError } from '../../src/errors.ts';
import { errorBody, statusOf } from '../../src/protocol/http-errors.ts';
import {
  decodeInferRequest,
  encodeInferResponse,
  HEADER_LENGTH_HEADER,
  parseHeaderLength,
} from '../../src/protocol/infer-body.ts';
import { httpInfer } from '../../src/transport/http.ts';
import { type HttpLoopback, httpLoopback } from './loopback.ts';

type Answer = (request: IncomingMessage, body: Buffer, response: ServerResponse) => void;

let answer: Answer;
let http: HttpLoopback;

beforeEach(async () => {
  http = await httpLoopback(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    answer(request, Buffer.concat(chunks), response);
  });
});
afterEach(() => http.close());

const inputs = [{ name: 'x', tensor: float32Tensor(Float32Array.of(1, 2), [2]) }];
const infer = (options: Partial<Parameters<typeof httpInfer>[3]> = {}) =>
  httpInfer(http.url, 'a model', inputs, { fetch, ...options });

/** Sends the inputs back as outputs. */
const echo: Answer = (request, body, response) => {
  const length = request.headers[HEADER_LENGTH_HEADER.toLowerCase()];
  const { inputs, id, parameters } = decodeInferRequest(body, parseHeaderLength(length?.toString()));
  const outputs = inputs.map(({ name, tensor }) => ({ name, tensor }));
  const { bytes, headerBytes } = encodeInferResponse({
    modelName: `${request.method} ${request.url}`,
    ...(id === undefined ? {} : { id }),
    parameters,
    outputs,
  });
  if (headerBytes !== undefined) response.setHeader(HEADER_LENGTH_HEADER, headerBytes);
  response.end(bytes);
};

test('a request goes up and its answer comes down', async () => {
  answer = echo;
  const result = await infer({ id: 'r', parameters: { from: 1 } });
  expect(result.modelName).toBe('POST /v2/models/a%20model/infer');
  expect(result.id).toBe('r');
  expect(result.parameters).toEqual({ from: 1, binary_data_output: true });
  expect(result.outputs.map(({ name, tensor }) => [name, tensor])).toEqual([['x', inputs[0]?.tensor]]);
});

test('the base URL may end with a slash', async () => {
  answer = echo;
  const result = await httpInfer(`${http.url}/api/`, 'm', inputs, { fetch });
  expect(result.modelName).toBe('POST /api/v2/models/m/infer');
});

test('an answer in plain JSON is understood', async () => {
  answer = (_, __, response) =>
    response.end(
      '{"model_name": "m", "outputs": [{"name": "y", "datatype": "FP32", "shape": [2], "data": [1, 2]}]}',
    );
  const { outputs } = await infer();
  expect(outputs[0]?.tensor).toEqual(inputs[0]?.tensor);
});

describe('failures', () => {
  test('the endpoint’s own error comes through', async () => {
    answer = (_, __, response) => {
      const error = new IsthmusError('limit-exceeded', 'too many', { details: { limit: 3 } });
      response.writeHead(statusOf(error.code)).end(errorBody(error));
    };
    await expect(infer()).rejects.toMatchObject({
      code: 'limit-exceeded',
      message: 'too many',
      details: { limit: 3, status: 413 },
    });
  });

  test('a long page of a proxy is cut', async () => {
    answer = (_, __, response) => response.writeHead(502).end('x'.repeat(1_000_000));
    await expect(infer()).rejects.toMatchObject({ code: 'endpoint-lost' });
  });

  test('nobody there is endpoint-lost', async () => {
    await http.close();
    await expect(infer()).rejects.toMatchObject({ code: 'endpoint-lost' });
  });

  test('an answer that breaks off is endpoint-lost', async () => {
    answer = (_, __, response) => {
      response.writeHead(200, { 'Content-Length': '1000' });
      response.write('{', () => response.destroy());
    };
    await expect(infer()).rejects.toMatchObject({ code: 'endpoint-lost' });
  });

  test.each([
    ['is no JSON', 'hello', undefined],
    ['says a length that is none', '{}', 'many'],
    ['is shorter than its header', '{}', '100'],
    ['names no model', '{"outputs": []}', undefined],
  ])('an answer that %s is bad-frame', async (_, body, length) => {
    answer = (_, __, response) => {
      if (length !== undefined) response.setHeader(HEADER_LENGTH_HEADER, length);
      response.end(body);
    };
    await expect(infer()).rejects.toMatchObject({ code: 'bad-frame' });
  });

  test('no answer within the time allowed is endpoint-lost', async () => {
    answer = () => {};
    await expect(infer({ timeoutMs: 30 })).rejects.toMatchObject({ code: 'endpoint-lost' });
  });

  test('an abort while it waits is aborted', async () => {
    const controller = new AbortController();
    answer = () => controller.abort();
    await expect(infer({ signal: controller.signal })).rejects.toMatchObject({ code: 'aborted' });
  });

  test('an abort beforehand asks nobody', async () => {
    const asked: unknown[] = [];
    const spy: typeof fetch = async (...call) => {
      asked.push(call);
      return fetch(...call);
    };
    const attempt = infer({ fetch: spy, signal: AbortSignal.abort() });
    await expect(attempt).rejects.toMatchObject({ code: 'aborted' });
    expect(asked).toEqual([]);
  });

  test('an endless answer is refused before it is held', async () => {
    const megabyte = new Uint8Array(2 ** 20);
    let pulled = 0;
    let cancelled = false;
    const endless = new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull(controller) {
        pulled += 1;
        controller.enqueue(megabyte);
      },
      cancel() {
        cancelled = true;
      },
    });
    const attempt = infer({ fetch: async () => new Response(endless) });
    await expect(attempt).rejects.toMatchObject({ code: 'limit-exceeded' });
    expect(pulled).toBeLessThan(70);
    expect(cancelled).toBe(true);
  });
});
