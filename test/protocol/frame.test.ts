import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { PhaseTensors } from '../../src/core/span.ts';
import { asFloat32, float32Tensor, int64Tensor } from '../../src/core/tensor.ts';
import { encodedBytes } from '../../src/protocol/codec.ts';
import {
  decodeClientMessage,
  decodeServerMessage,
  encodeClientMessage,
  encodeServerMessage,
} from '../../src/protocol/frame.ts';
import * as limits from '../../src/protocol/limits.ts';
import type { StartMessage } from '../../src/protocol/messages.ts';
import { clientMessages, serverMessages } from './arbitraries.ts';
import { failureOf } from './failure.ts';

const WIRE_CODES = ['bad-frame', 'bad-tensor', 'limit-exceeded'];

function frameOf(header: unknown, raw: Uint8Array = new Uint8Array(0)): Uint8Array {
  return frameOfText(JSON.stringify(header), raw);
}

function frameOfText(text: string, raw: Uint8Array = new Uint8Array(0)): Uint8Array {
  const json = new TextEncoder().encode(text);
  const frame = new Uint8Array(4 + json.byteLength + raw.byteLength);
  new DataView(frame.buffer).setUint32(0, json.byteLength, true);
  frame.set(json, 4);
  frame.set(raw, 4 + json.byteLength);
  return frame;
}

function headerOf(frame: Uint8Array): unknown {
  const length = new DataView(frame.buffer, frame.byteOffset).getUint32(0, true);
  return JSON.parse(new TextDecoder().decode(frame.subarray(4, 4 + length)));
}

const start = (over: Partial<StartMessage> = {}): StartMessage => ({
  type: 'start',
  id: 7,
  model: 'm',
  span: { from: 1, to: 3 },
  tensors: {},
  codec: 'fp32',
  maxTokens: 10,
  prefix: [],
  ...over,
});

describe('round trip', () => {
  test('of every client message', () => {
    fc.assert(
      fc.property(clientMessages, (message) => {
        expect(decodeClientMessage(encodeClientMessage(message))).toEqual(message);
      }),
      { numRuns: 300 },
    );
  });

  test('of every endpoint message', () => {
    fc.assert(
      fc.property(serverMessages, (message) => {
        expect(decodeServerMessage(encodeServerMessage(message))).toEqual(message);
      }),
      { numRuns: 300 },
    );
  });

  test('of a frame that does not begin at the start of its buffer', () => {
    fc.assert(
      fc.property(clientMessages, fc.integer({ min: 1, max: 9 }), (message, shift) => {
        const frame = encodeClientMessage(message);
        const shifted = new Uint8Array(frame.byteLength + shift + 3);
        shifted.set(frame, shift);
        const view = shifted.subarray(shift, shift + frame.byteLength);
        expect(decodeClientMessage(view)).toEqual(message);
      }),
    );
  });
});

describe('the form of a frame', () => {
  const tensors: PhaseTensors = {
    init: { h: float32Tensor(Float32Array.of(1, 2, 3, 4), [2, 2]) },
    step: { h: float32Tensor(Float32Array.of(5), [1]), ids: int64Tensor([9], [1, 1]) },
  };

  test('is an Open Inference Protocol request', () => {
    const frame = encodeClientMessage(start({ tensors, prefix: [1, 2] }));
    const entry = (name: string, datatype: string, shape: number[], phase: string, size: number) => ({
      name,
      datatype,
      shape,
      parameters: { phase, binary_data_size: size },
    });
    expect(headerOf(frame)).toEqual({
      id: '7',
      model_name: 'm',
      parameters: { type: 'start', from: 1, to: 3, codec: 'fp32', max_tokens: 10, prefix: [1, 2] },
      inputs: [
        entry('h', 'FP32', [2, 2], 'init', 16),
        entry('h', 'FP32', [1], 'step', 4),
        entry('ids', 'INT64', [1, 1], 'step', 8),
      ],
    });
    expect(frame.subarray(-28, -12)).toEqual(new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer));
  });

  test('keeps an error readable for any client of that protocol', () => {
    const frame = encodeServerMessage({ type: 'error', id: -1, error: { code: 'internal', message: 'why' } });
    expect(headerOf(frame)).toEqual({
      id: '-1',
      error: 'why',
      parameters: { type: 'error', code: 'internal' },
    });
  });

  test('has its tensors where they can be read in place', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, maxLength: 30 }), (model) => {
        const frame = encodeClientMessage(start({ model, tensors }));
        const message = decodeClientMessage(frame);
        if (message.type !== 'start') throw new Error('another type');
        const tensor = message.tensors.init?.h;
        expect(tensor?.bytes.buffer).toBe(frame.buffer);
        expect((tensor?.bytes.byteOffset ?? 1) % 8).toBe(0);
      }),
    );
  });

  test('leaves out phases that have no tensors', () => {
    expect(decodeClientMessage(encodeClientMessage(start({ tensors: { once: {} } })))).toEqual(start());
  });
});

describe('codecs', () => {
  const values = Float32Array.from({ length: 96 }, (_, i) => Math.sin(i));
  const tensors: PhaseTensors = {
    step: { hidden: float32Tensor(values, [2, 48]), exact: float32Tensor(values, [96]) },
  };
  const lossy = (phase: string, name: string) => phase === 'step' && name === 'hidden';

  test.each(['fp16', 'int8'] as const)('%s touches only what the predicate names', (codec) => {
    const plain = encodeClientMessage(start({ tensors }));
    const frame = encodeClientMessage(start({ tensors, codec }), { lossy });
    // The header may differ by a few bytes of codec names and padding.
    const saved = values.byteLength - encodedBytes('float32', [2, 48], codec, true);
    expect(plain.byteLength - frame.byteLength).toBeGreaterThan(saved - 40);
    expect(plain.byteLength - frame.byteLength).toBeLessThan(saved + 40);
    const message = decodeClientMessage(frame);
    if (message.type !== 'start') throw new Error('another type');
    const { hidden, exact } = message.tensors.step ?? {};
    if (hidden === undefined || exact === undefined) throw new Error('a tensor is missing');
    expect(asFloat32(exact)).toEqual(values);
    expect(hidden.dims).toEqual([2, 48]);
    expect(asFloat32(hidden)).not.toEqual(values);
    asFloat32(hidden).forEach((value, i) => {
      expect(value).toBeCloseTo(values[i] ?? 0, 2);
    });
  });

  test('of a request apply to its later messages by option', () => {
    const message = {
      type: 'output',
      id: 1,
      step: 0,
      tensors,
      timing: { queueMs: 0, computeMs: 1 },
    } as const;
    const header = JSON.stringify(headerOf(encodeServerMessage(message, { codec: 'int8', lossy })));
    expect(header.match(/"codec":"int8"/g)).toHaveLength(1);
    expect(JSON.stringify(headerOf(encodeServerMessage(message, { lossy })))).not.toContain('codec');
  });

  test('are not used where no tensor is named lossy', () => {
    const message = decodeClientMessage(encodeClientMessage(start({ tensors, codec: 'int8' })));
    expect(message).toEqual(start({ tensors, codec: 'int8' }));
  });
});

describe('refusals', () => {
  const ping = { id: '1', parameters: { type: 'ping', reply_bytes: 0 } };
  const begin = {
    id: '1',
    model_name: 'm',
    parameters: { type: 'start', from: 0, to: 1, codec: 'fp32', max_tokens: 1 },
  };
  const tensor = {
    name: 'x',
    datatype: 'FP32',
    shape: [1],
    parameters: { phase: 'step', binary_data_size: 4 },
  };
  const fields = (over: object) => ({ ...begin, parameters: { ...begin.parameters, ...over } });
  const inputs = (...inputs: unknown[]) => ({ ...begin, inputs });
  const parameters = (over: object) => ({ ...tensor, parameters: { ...tensor.parameters, ...over } });
  const four = new Uint8Array(4);

  test('the frames that these tests spoil are good', () => {
    expect(decodeClientMessage(frameOf(ping)).type).toBe('ping');
    expect(decodeClientMessage(frameOf(begin)).type).toBe('start');
    expect(decodeClientMessage(frameOf(inputs(tensor), four)).type).toBe('start');
    expect(decodeClientMessage(frameOf(fields({ later: [{}] })))).toEqual(
      decodeClientMessage(frameOf(begin)),
    );
  });

  test.each<[string, Uint8Array, string]>([
    ['nothing', new Uint8Array(0), 'bad-frame'],
    ['half a prefix', new Uint8Array(3), 'bad-frame'],
    ['no header', new Uint8Array(4), 'bad-frame'],
    ['a header longer than the frame', Uint8Array.of(9, 0, 0, 0, 123, 125), 'bad-frame'],
    ['a header over the bound', Uint8Array.of(255, 255, 255, 255), 'limit-exceeded'],
    ['a header that is not UTF-8', Uint8Array.of(2, 0, 0, 0, 0xff, 0xfe), 'bad-frame'],
    ['a header that is not JSON', frameOfText('{"id":'), 'bad-frame'],
    ['a header of deep nesting', frameOfText('['.repeat(300_000)), 'bad-frame'],
    ['a header that is an array', frameOf([]), 'bad-frame'],
    ['a header that is null', frameOf(null), 'bad-frame'],
    ['no parameters', frameOf({ id: '1' }), 'bad-frame'],
    ['an unknown type', frameOf(fields({ type: 'begin' })), 'bad-frame'],
    ['a type of the other direction', frameOf(fields({ type: 'hello' })), 'bad-frame'],
    ['a type that every object has', frameOf(fields({ type: 'toString' })), 'bad-frame'],
    ['an id that is a number', frameOf({ ...ping, id: 1 }), 'bad-frame'],
    ['the id of the connection', frameOf({ ...ping, id: '-1' }), 'bad-frame'],
    ['an id with a leading zero', frameOf({ ...ping, id: '01' }), 'bad-frame'],
    ['an id beyond the safe integers', frameOf({ ...ping, id: '9007199254740993' }), 'bad-frame'],
    ['no model', frameOf({ ...begin, model_name: undefined }), 'bad-frame'],
    ['a long model', frameOf({ ...begin, model_name: 'm'.repeat(600) }), 'limit-exceeded'],
    ['an empty span', frameOf(fields({ to: 0 })), 'bad-frame'],
    ['a span of fractions', frameOf(fields({ to: 0.5 })), 'bad-frame'],
    ['a span over the bound', frameOf(fields({ to: limits.MAX_BLOCKS + 1 })), 'limit-exceeded'],
    ['an unknown codec', frameOf(fields({ codec: 'zip' })), 'bad-frame'],
    ['negative tokens', frameOf(fields({ max_tokens: -1 })), 'bad-frame'],
    ['too many tokens', frameOf(fields({ max_tokens: 1e9 })), 'limit-exceeded'],
    ['a prefix that is a text', frameOf(fields({ prefix: '1' })), 'bad-frame'],
    ['a prefix of texts', frameOf(fields({ prefix: ['1'] })), 'bad-frame'],
    ['a long prefix', frameOf(fields({ prefix: Array(32_769).fill(1) })), 'limit-exceeded'],
    ['a token over the bound', frameOf(fields({ prefix: [2 ** 31] })), 'limit-exceeded'],
    ['a large reply', frameOf({ id: '1', parameters: { type: 'ping', reply_bytes: 1e7 } }), 'limit-exceeded'],
    ['padding that is something else', frameOf({ ...ping, inputs: [tensor] }, four), 'bad-tensor'],
    ['inputs that are no list', frameOf({ ...begin, inputs: {} }), 'bad-frame'],
    ['an input that is no object', frameOf(inputs(1)), 'bad-frame'],
    ['too many inputs', frameOf(inputs(...Array(513).fill({}))), 'limit-exceeded'],
    ['bytes behind the tensors', frameOf(inputs(tensor), new Uint8Array(5)), 'bad-frame'],
    ['too few bytes', frameOf(inputs(tensor), new Uint8Array(3)), 'bad-frame'],
    ['bytes that no tensor claims', frameOf(begin, four), 'bad-frame'],
    ['a size that is not the shape', frameOf(inputs({ ...tensor, shape: [2] }), four), 'bad-tensor'],
    ['a negative size', frameOf(inputs(parameters({ binary_data_size: -4 })), four), 'bad-tensor'],
    ['a size that is a text', frameOf(inputs(parameters({ binary_data_size: '4' })), four), 'bad-tensor'],
    ['a negative shape', frameOf(inputs({ ...tensor, shape: [-1] }), four), 'bad-tensor'],
    ['a shape of texts', frameOf(inputs({ ...tensor, shape: ['1'] }), four), 'bad-tensor'],
    ['a huge shape', frameOf(inputs({ ...tensor, shape: [1e9, 1e9] }), four), 'bad-tensor'],
    [
      'a huge shape within an empty one',
      frameOf(inputs({ ...tensor, shape: [1e15, 0] }), four),
      'bad-tensor',
    ],
    ['a shape of many axes', frameOf(inputs({ ...tensor, shape: Array(17).fill(1) }), four), 'bad-tensor'],
    ['no shape', frameOf(inputs({ ...tensor, shape: undefined }), four), 'bad-tensor'],
    ['no name', frameOf(inputs({ ...tensor, name: undefined }), four), 'bad-tensor'],
    ['an empty name', frameOf(inputs({ ...tensor, name: '' }), four), 'bad-tensor'],
    ['a long name', frameOf(inputs({ ...tensor, name: 'x'.repeat(513) }), four), 'limit-exceeded'],
    ['a name that is a trap', frameOf(inputs({ ...tensor, name: '__proto__' }), four), 'bad-tensor'],
    ['an unknown datatype', frameOf(inputs({ ...tensor, datatype: 'BF16' }), four), 'bad-tensor'],
    [
      'a datatype that every object has',
      frameOf(inputs({ ...tensor, datatype: 'constructor' })),
      'bad-tensor',
    ],
    ['strings', frameOf(inputs({ ...tensor, datatype: 'BYTES' }), four), 'bad-tensor'],
    ['an unknown phase', frameOf(inputs(parameters({ phase: 'later' })), four), 'bad-tensor'],
    ['no phase', frameOf(inputs(parameters({ phase: undefined })), four), 'bad-tensor'],
    ['an unknown codec of a tensor', frameOf(inputs(parameters({ codec: 'zip' })), four), 'bad-tensor'],
    [
      'a codec on integers',
      frameOf(inputs({ ...parameters({ codec: 'fp16' }), datatype: 'INT32' }), four),
      'bad-tensor',
    ],
    ['a tensor given twice', frameOf(inputs(tensor, tensor), new Uint8Array(8)), 'bad-tensor'],
    ['a tensor with bytes and data', frameOf(inputs({ ...tensor, data: [1] }), four), 'bad-tensor'],
    [
      'a bool of 2',
      frameOf(inputs({ ...tensor, datatype: 'BOOL', shape: [4] }), Uint8Array.of(0, 1, 2, 0)),
      'bad-tensor',
    ],
  ])('%s', (_, frame, code) => {
    expect(failureOf(() => decodeClientMessage(frame)).code).toBe(code);
  });

  const done = {
    id: '1',
    parameters: { type: 'done', reason: 'eos', queue_ms: 0, compute_ms: 0, segments: {} },
  };
  const result = (over: object) => frameOf({ ...done, parameters: { ...done.parameters, ...over } });

  test.each<[string, Uint8Array, string]>([
    [
      'models that are no list',
      frameOf({ parameters: { type: 'hello', protocol: 1, models: 'm' } }),
      'bad-frame',
    ],
    ['a version that is a text', frameOf({ parameters: { type: 'hello', protocol: '1' } }), 'bad-frame'],
    ['an unknown reason', result({ reason: 'tired' }), 'bad-frame'],
    ['a negative time', result({ queue_ms: -1 }), 'bad-frame'],
    ['a time that is null', result({ compute_ms: null }), 'bad-frame'],
    ['segments that are a list', result({ segments: [1] }), 'bad-frame'],
    ['a segment that is a text', result({ segments: { a: '1' } }), 'bad-frame'],
    [
      'an error without message',
      frameOf({ id: '1', parameters: { type: 'error', code: 'internal' } }),
      'bad-frame',
    ],
    ['an id of -1 without error', frameOf({ ...done, id: '-1' }), 'bad-frame'],
  ])('of the endpoint: %s', (_, frame, code) => {
    expect(failureOf(() => decodeServerMessage(frame)).code).toBe(code);
  });

  test('the sender is refused what the receiver would refuse', () => {
    const code = (run: () => unknown) => failureOf(run).code;
    expect(code(() => encodeClientMessage(start({ id: -1 })))).toBe('bad-frame');
    expect(code(() => encodeClientMessage(start({ model: '' })))).toBe('bad-frame');
    expect(code(() => encodeClientMessage(start({ prefix: [0.5] })))).toBe('bad-frame');
    expect(code(() => encodeClientMessage(start({ prefix: Array(32_769).fill(0) })))).toBe('limit-exceeded');
    const large = new Uint8Array(limits.MAX_PROBE_BYTES + 1);
    expect(code(() => encodeServerMessage({ type: 'pong', id: 1, padding: large }))).toBe('limit-exceeded');
    const wrong = { dtype: 'float32', dims: [2], bytes: new Uint8Array(4) } as const;
    expect(code(() => encodeClientMessage(start({ tensors: { once: { wrong } } })))).toBe('bad-tensor');
    const huge = {
      dtype: 'uint8',
      dims: [limits.MAX_FRAME_BYTES],
      bytes: new Uint8Array(limits.MAX_FRAME_BYTES),
    } as const;
    expect(code(() => encodeClientMessage(start({ tensors: { once: { huge } } })))).toBe('limit-exceeded');
  });

  test('the longest prefix and the most tensors fit the header', () => {
    const prefix = Array<number>(limits.MAX_PREFIX_TOKENS).fill(limits.MAX_TOKEN_ID);
    const tensor = int64Tensor([], [0, 1000, 1000, 1000]);
    const entries = Array.from({ length: limits.MAX_TENSORS_PER_MESSAGE }, (_, i) => [
      `${'n'.repeat(200)}${i}`,
      tensor,
    ]);
    const message = start({ prefix, tensors: { step: Object.fromEntries(entries) } });
    expect(decodeClientMessage(encodeClientMessage(message))).toEqual(message);
  });
});

describe('an error can always travel', () => {
  const travelled = (message: string, details?: Record<string, unknown>) => {
    const error = { code: 'internal', message, ...(details && { details }) } as const;
    const decoded = decodeServerMessage(encodeServerMessage({ type: 'error', id: 1, error }));
    if (decoded.type !== 'error') throw new Error('another type');
    return decoded.error;
  };

  test('with a long message, cut', () => {
    expect(travelled('x'.repeat(10_000)).message).toHaveLength(limits.MAX_ERROR_MESSAGE_LENGTH);
  });

  test('without a message', () => {
    expect(travelled('').message).not.toBe('');
  });

  test('with details that cannot be written, dropped', () => {
    const circular: Record<string, unknown> = {};
    circular.self = circular;
    expect(travelled('m', circular).details).toBeUndefined();
    expect(travelled('m', { n: 1n }).details).toBeUndefined();
    expect(travelled('m', { text: 'x'.repeat(20_000) }).details).toBeUndefined();
    expect(travelled('m', { n: 1 }).details).toEqual({ n: 1 });
  });

  test('with a code of a later version', () => {
    const frame = frameOf({ id: '1', error: 'm', parameters: { type: 'error', code: 'new' } });
    const message = { type: 'error', id: 1, error: { code: 'endpoint-failed', message: 'm' } };
    expect(decodeServerMessage(frame)).toEqual(message);
  });
});

describe('fuzz: hostile bytes give one of three errors or a message', () => {
  function survives(decode: (frame: Uint8Array) => unknown, frame: Uint8Array): void {
    try {
      decode(frame);
    } catch (error) {
      expect(error).toMatchObject({ name: 'IsthmusError' });
      expect(WIRE_CODES).toContain((error as { code: unknown }).code);
    }
  }

  const directions = [
    ['client', decodeClientMessage, clientMessages.map((message) => encodeClientMessage(message))],
    ['endpoint', decodeServerMessage, serverMessages.map((message) => encodeServerMessage(message))],
  ] as const;

  test.each(directions)('%s: random bytes', (_, decode) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (frame) => survives(decode, frame)),
      { numRuns: 1000 },
    );
  });

  test.each(directions)('%s: random JSON', (_, decode) => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.uint8Array({ maxLength: 9 }), (json, raw) =>
        survives(decode, frameOf(json, raw)),
      ),
      { numRuns: 500 },
    );
  });

  test.each(directions)('%s: flipped bits', (_, decode, frames) => {
    fc.assert(
      fc.property(frames, fc.array(fc.nat(), { minLength: 1, maxLength: 4 }), (frame, places) => {
        for (const place of places) {
          const at = (place >> 3) % frame.byteLength;
          frame[at] = (frame[at] ?? 0) ^ (1 << (place & 7));
        }
        survives(decode, frame);
      }),
      { numRuns: 2000 },
    );
  });

  test.each(directions)('%s: values of the header replaced', (_, decode, frames) => {
    fc.assert(
      fc.property(frames, fc.nat(), fc.jsonValue({ maxDepth: 1 }), (frame, place, value) => {
        const length = new DataView(frame.buffer).getUint32(0, true);
        let count = 0;
        const text = JSON.stringify(headerOf(frame), (key, old) =>
          key !== '' && count++ === place % 30 ? value : old,
        );
        survives(decode, frameOfText(text, frame.subarray(4 + length)));
      }),
      { numRuns: 1000 },
    );
  });

  test.each(directions)('%s: every truncation is refused', (_, decode, frames) => {
    fc.assert(
      fc.property(frames, fc.nat(), (frame, place) => {
        const failure = failureOf(() => decode(frame.subarray(0, place % frame.byteLength)));
        expect(WIRE_CODES).toContain(failure.code);
      }),
      { numRuns: 500 },
    );
  });
});
