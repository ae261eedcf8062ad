import { describe, expect, test } from 'vitest';
import { int64Tensor } from '../../src/core/tensor.ts';
import {
  decodeClientMessage,
  decodeServerMessage,
  encodeClientMessage,
  encodeServerMessage,
} from '../../src/protocol/frame.ts';
import * as limits from '../../src/protocol/limits.ts';
import { failureOf } from './failure.ts';
import { frameOf, frameOfText, start } from './frames-by-hand.ts';

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
    ['a header that ends early', frameOf(ping).fill(255, 0, 1), 'bad-frame'],
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
