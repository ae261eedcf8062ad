import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromPcm16, isPcm16, roundToPcm16, toPcm16 } from '../../src/core/pcm16.ts';

const samples = fc.int16Array();
const bits = (values: Float32Array) => [...new Uint32Array(values.slice().buffer)];

describe('16-bit samples', () => {
  it('come back to the last bit', () => {
    fc.assert(
      fc.property(samples, (made) => {
        const values = fromPcm16(made);
        expect(isPcm16(values)).toBe(true);
        expect(toPcm16(values)).toEqual(made);
        expect(roundToPcm16(values)).toBe(values);
      }),
    );
  });

  it('stand for a recording only if it comes back to the last bit', () => {
    fc.assert(
      fc.property(fc.float32Array({ maxLength: 8 }), (values) => {
        const made = toPcm16(values);
        if (made === undefined) expect(isPcm16(values)).toBe(false);
        else expect(bits(fromPcm16(made))).toEqual(bits(values));
      }),
    );
  });

  it.each([[NaN], [Infinity], [-0], [1], [-1 - 2 ** -15], [2 ** -16]])('are none of %d', (value) => {
    expect(isPcm16(Float32Array.of(0, value))).toBe(false);
  });

  it('are the nearest ones after rounding', () => {
    const any = fc.float32Array({ min: -2, max: 2, noNaN: true });
    fc.assert(
      fc.property(any, (values) => {
        const rounded = roundToPcm16(values);
        expect(isPcm16(rounded)).toBe(true);
        for (const [index, value] of values.entries()) {
          const nearest = Math.max(-1, Math.min(1 - 2 ** -15, value));
          expect(Math.abs((rounded[index] ?? NaN) - nearest)).toBeLessThanOrEqual(2 ** -16);
        }
      }),
    );
  });
});
