import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { asFloat32, float32Tensor } from '../../src/core/tensor.ts';
import { ERROR_CODES, type ErrorCode, IsthmusError } from '../../src/errors.ts';
import { errorBody, errorOfResponse, statusOf } from '../../src/protocol/http-errors.ts';
import {
  decodeInferRequest,
  decodeInferResponse,
  encodeInferRequest,
  encodeInferResponse,
  parseHeaderLength,
} from '../../src/protocol/infer-body.ts';
import { MAX_HEADER_BYTES, MAX_JSON_BODY_BYTES } from '../../src/protocol/limits.ts';
import { failureOf } from './failure.ts';

const utf8 = (text: string) => new TextEncoder().encode(text);
const x = float32Tensor(Float32Array.of(1, 2), [1, 2]);

describe('a request', () => {
  const request = {
    id: 'a',
    parameters: { span: '0-3' },
    inputs: [{ name: 'x', tensor: x }],
    outputs: [{ name: 'y', binary: false }],
    binaryOutput: true,
  };

  test('comes back as it was', () => {
    const { bytes, headerBytes } = encodeInferRequest(request);
    expect(decodeInferRequest(bytes, headerBytes)).toEqual({
      ...request,
      parameters: { span: '0-3', binary_data_output: true },
      inputs: [{ name: 'x', tensor: x, parameters: { binary_data_size: 8 } }],
    });
  });

  test('of any client without the extension is understood', () => {
    const body = utf8(
      '{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [[1, 2]]}], "outputs": [{"name": "y"}]}',
    );
    expect(decodeInferRequest(body)).toEqual({
      parameters: {},
      inputs: [{ name: 'x', tensor: x, parameters: {} }],
      outputs: [{ name: 'y', binary: false }],
      binaryOutput: false,
    });
  });

  test('says for each output how it is wanted, else for all', () => {
    const outputs = '[{"name": "a"}, {"name": "b", "parameters": {"binary_data": false}}]';
    const body = utf8(`{"inputs": [], "outputs": ${outputs}, "parameters": {"binary_data_output": true}}`);
    expect(decodeInferRequest(body).outputs).toEqual([
      { name: 'a', binary: true },
      { name: 'b', binary: false },
    ]);
  });

  test('with a large JSON body may exceed the bound of a binary header, but not its own', () => {
    const data = Array<number>(300_000).fill(0.125);
    const text = JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [300_000], data }] });
    expect(text.length).toBeGreaterThan(MAX_HEADER_BYTES);
    expect(decodeInferRequest(utf8(text)).inputs[0]?.tensor.dims).toEqual([300_000]);
    expect(failureOf(() => decodeInferRequest(utf8(text), text.length)).code).toBe('limit-exceeded');
    const large = new Uint8Array(MAX_JSON_BODY_BYTES + 1);
    expect(failureOf(() => decodeInferRequest(large)).code).toBe('limit-exceeded');
  });

  test.each<[string, string, string]>([
    ['nothing', '', 'bad-frame'],
    ['an array', '[]', 'bad-frame'],
    ['outputs that are no list', '{"outputs": {}}', 'bad-frame'],
    ['an output without name', '{"outputs": [{}]}', 'bad-frame'],
    ['parameters that are a list', '{"parameters": []}', 'bad-frame'],
    ['an id that is a number', '{"id": 1}', 'bad-frame'],
    [
      'raw bytes that are not there',
      '{"inputs": [{"name": "x", "datatype": "INT8", "shape": [1], "parameters": {"binary_data_size": 1}}]}',
      'bad-frame',
    ],
    [
      'an input given twice',
      '{"inputs": [{"name": "x", "datatype": "INT8", "shape": [0], "data": []}, {"name": "x", "datatype": "INT8", "shape": [0], "data": []}]}',
      'bad-tensor',
    ],
  ])('with %s is refused', (_, text, code) => {
    expect(failureOf(() => decodeInferRequest(utf8(text))).code).toBe(code);
  });

  test('never makes a reader throw anything else', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(7), fc.option(fc.nat(300), { nil: undefined }), (place, bit, length) => {
        const { bytes, headerBytes } = encodeInferRequest(request);
        const at = place % bytes.byteLength;
        bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
        for (const claimed of [headerBytes, length]) {
          try {
            decodeInferRequest(bytes, claimed);
          } catch (error) {
            expect(error).toMatchObject({
              code: expect.stringMatching(/^(bad-frame|bad-tensor|limit-exceeded)$/),
            });
          }
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe('a response', () => {
  const response = { modelName: 'm', id: 'a', parameters: {}, outputs: [{ name: 'x', tensor: x }] };

  test('comes back as it was', () => {
    const { bytes, headerBytes } = encodeInferResponse(response);
    expect(decodeInferResponse(bytes, headerBytes)).toEqual({
      ...response,
      outputs: [{ name: 'x', tensor: x, parameters: { binary_data_size: 8 } }],
    });
  });

  test('without raw bytes is JSON that any client reads', () => {
    const outputs = [{ name: 'x', tensor: x, json: true }];
    const { bytes, headerBytes } = encodeInferResponse({ ...response, outputs });
    expect(headerBytes).toBeUndefined();
    expect(JSON.parse(new TextDecoder().decode(bytes))).toEqual({
      model_name: 'm',
      id: 'a',
      parameters: {},
      outputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }],
    });
  });

  test('carries a codec', () => {
    const values = Float32Array.from({ length: 64 }, (_, i) => i / 64);
    const outputs = [
      { name: 'h', tensor: float32Tensor(values, [2, 32]), codec: 'int8', lossy: true } as const,
    ];
    const { bytes, headerBytes } = encodeInferResponse({ ...response, outputs });
    const [h] = decodeInferResponse(bytes, headerBytes).outputs;
    expect(h?.parameters).toEqual({ binary_data_size: 2 * 4 + 64, codec: 'int8' });
    if (h === undefined) throw new Error('no output');
    asFloat32(h.tensor).forEach((value, i) => {
      expect(value).toBeCloseTo(values[i] ?? -1, 2);
    });
  });

  test('of a server that echoes an empty id has none', () => {
    const body = utf8('{"id": "", "model_name": "m", "model_version": "1", "outputs": []}');
    expect(decodeInferResponse(body)).toEqual({ modelName: 'm', parameters: {}, outputs: [] });
  });
});

test.each([
  ['0', 0],
  ['123', 123],
  [null, undefined],
  [undefined, undefined],
])('the length header %j is %j', (value, length) => {
  expect(parseHeaderLength(value)).toBe(length);
});

test.each(['', '-1', '1.5', '0x10', '1e3', '99999999999', ' 1', 'abc'])(
  'the length header %j is refused',
  (value) => {
    expect(failureOf(() => parseHeaderLength(value)).code).toBe('bad-frame');
  },
);

describe('errors over HTTP', () => {
  test('every code and its details come back, with a status of failure', () => {
    for (const code of Object.keys(ERROR_CODES) as ErrorCode[]) {
      const status = statusOf(code);
      expect(status).toBeGreaterThanOrEqual(400);
      const body = errorBody(new IsthmusError(code, 'why', { details: { n: 1 } }));
      const back = errorOfResponse(status, utf8(body));
      expect(back).toMatchObject({ code, message: 'why', details: { n: 1, status } });
    }
  });

  test('anything thrown inside is endpoint-failed', () => {
    expect(JSON.parse(errorBody(new TypeError('oops')))).toEqual({
      error: 'oops',
      parameters: { code: 'endpoint-failed' },
    });
  });

  test.each<[number, string, ErrorCode]>([
    [400, '{"error": "unexpected shape"}', 'bad-input'],
    [404, '{"error": "unknown model"}', 'unknown-model'],
    [404, '<html>', 'unknown-model'],
    [413, '', 'limit-exceeded'],
    [429, '', 'limit-exceeded'],
    [500, '{"error": {"nested": 1}}', 'endpoint-failed'],
    [500, '{"error": "x", "parameters": {"code": "constructor"}}', 'endpoint-failed'],
    [502, 'Bad Gateway', 'endpoint-lost'],
    [503, '', 'endpoint-lost'],
    [302, '', 'endpoint-failed'],
  ])('of another server: status %i with %j is told apart', (status, body, code) => {
    expect(errorOfResponse(status, utf8(body)).code).toBe(code);
  });

  test('the sentence of another server is kept', () => {
    expect(errorOfResponse(400, utf8('{"error": "unexpected shape"}')).message).toBe('unexpected shape');
  });
});
