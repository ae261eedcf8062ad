import { describe, expect, it } from 'vitest';
import type { CrossingTensor } from '../../src/package/manifest.ts';
import {
  codecRatio,
  crossingBytes,
  FRAME_OVERHEAD_BYTES,
  hasLossy,
  messageBytes,
  TENSOR_HEADER_BYTES,
} from '../../src/planner/bytes.ts';

const hidden: CrossingTensor = {
  name: 'hidden',
  dtype: 'float32',
  dims: [1, null, 288],
  bytes: { base: 0, perUnit: 4 * 288 },
  lossy: true,
};
const mask: CrossingTensor = {
  name: 'mask',
  dtype: 'int64',
  dims: [1, null],
  bytes: { base: 8, perUnit: 8 },
  lossy: false,
};

describe('codecRatio', () => {
  it('halves under fp16, and under int8 leaves a byte per value and a scale per row', () => {
    expect(codecRatio(hidden, 'fp32')).toBe(1);
    expect(codecRatio(hidden, 'fp16')).toBe(1 / 2);
    expect(codecRatio(hidden, 'int8')).toBe((288 + 4) / (288 * 4));
  });

  it('takes an unknown row length as 64, and a scalar as a row of one', () => {
    expect(codecRatio({ ...hidden, dims: [1, null] }, 'int8')).toBe(1 / 4 + 1 / 64);
    expect(codecRatio({ ...hidden, dims: [] }, 'int8')).toBe(5 / 4);
  });

  it('counts from what the graph holds when that is float16 already', () => {
    const half = { ...hidden, dtype: 'float16', bytes: { base: 0, perUnit: 2 * 288 } } as const;
    expect(codecRatio(half, 'fp16')).toBe(1);
    expect(codecRatio(half, 'int8')).toBe((288 + 4) / (288 * 2));
  });

  it('leaves alone what is not lossy', () => {
    for (const codec of ['fp32', 'fp16', 'int8'] as const) {
      expect(codecRatio(mask, codec)).toBe(1);
      expect(codecRatio({ ...hidden, lossy: false }, codec)).toBe(1);
    }
    expect(hasLossy({ sent: [mask], recomputed: [] })).toBe(false);
    expect(hasLossy({ sent: [mask, hidden], recomputed: [] })).toBe(true);
    expect(hasLossy(undefined)).toBe(false);
  });
});

describe('crossingBytes', () => {
  it('adds the encoded tensors and the envelope', () => {
    const envelope = FRAME_OVERHEAD_BYTES + 2 * TENSOR_HEADER_BYTES;
    const crossing = { sent: [hidden, mask], recomputed: ['positions'] };
    expect(crossingBytes(crossing, 10, 'fp32')).toBe(envelope + 10 * 4 * 288 + 88);
    expect(crossingBytes(crossing, 10, 'fp16')).toBe(envelope + 10 * 2 * 288 + 88);
    expect(crossingBytes(crossing, 10, 'int8')).toBeCloseTo(envelope + 10 * (288 + 4) + 88);
    expect(crossingBytes({ sent: [], recomputed: [] }, 10, 'fp32')).toBe(messageBytes([]));
  });

  it('never goes below the envelope where an affine size dips under 0', () => {
    const dipping = { ...hidden, bytes: { base: -5_000, perUnit: 1 } };
    const bytes = crossingBytes({ sent: [dipping], recomputed: [] }, 10, 'fp32');
    expect(bytes).toBe(FRAME_OVERHEAD_BYTES + TENSOR_HEADER_BYTES);
  });
});
