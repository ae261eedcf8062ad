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
import { clientMessages, serverMessages } from './arbitraries.ts';
import { frameOf, headerOf, start } from './frames-by-hand.ts';

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
