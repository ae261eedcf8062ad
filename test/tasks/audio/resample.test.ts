import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  createResampler,
  PIECE_SAMPLES,
  resample,
  resampleInPieces,
} from '../../../src/tasks/audio/resample.ts';

const RATES = [8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000, 96000];

function sine(hz: number, rate: number, count: number, phase = 0): Float32Array {
  return Float32Array.from({ length: count }, (_, n) => Math.sin((2 * Math.PI * hz * n) / rate + phase));
}

/** The filter reaches past the ends of the input, where there is silence: they are left out. */
function inner(samples: Float32Array): Float32Array {
  return samples.subarray(Math.ceil(samples.length / 4), Math.floor((samples.length * 3) / 4));
}

function rms(samples: Float32Array): number {
  return Math.sqrt(samples.reduce((sum, value) => sum + value * value, 0) / samples.length);
}

function difference(a: Float32Array, b: Float32Array): number {
  return a.reduce((most, value, index) => Math.max(most, Math.abs(value - (b[index] ?? Infinity))), 0);
}

const rate = fc.constantFrom(...RATES);

describe('resample', () => {
  it('turns a sine below the band edge into the same sine at the new rate', () => {
    fc.assert(
      fc.property(rate, rate, fc.double({ min: 0.01, max: 0.84, noNaN: true }), (from, to, share) => {
        const hz = (share * Math.min(from, to)) / 2;
        const output = resample(sine(hz, from, from / 5, 0.3), from, to);
        const expected = sine(hz, to, output.length, 0.3);
        expect(difference(inner(output), inner(expected))).toBeLessThan(1e-3);
      }),
    );
  });

  it('removes what the new rate cannot hold', () => {
    const pairs = fc.tuple(rate, rate).filter(([from, to]) => to * 1.2 < from);
    fc.assert(
      fc.property(pairs, fc.double({ min: 0, max: 1, noNaN: true }), ([from, to], place) => {
        const low = (to / 2) * 1.05;
        const hz = low + place * (from / 2 - low) * 0.99;
        expect(rms(inner(resample(sine(hz, from, from / 5), from, to)))).toBeLessThan(1e-3);
      }),
    );
  });

  it('keeps a constant exactly, whatever the phase', () => {
    fc.assert(
      fc.property(rate, rate, (from, to) => {
        const output = inner(resample(new Float32Array(from / 5).fill(0.5), from, to));
        expect(difference(output, new Float32Array(output.length).fill(0.5))).toBeLessThan(1e-6);
      }),
    );
  });

  it('keeps the duration to within half a sample', () => {
    fc.assert(
      fc.property(rate, rate, fc.nat(3000), (from, to, count) => {
        const output = resample(new Float32Array(count), from, to);
        expect(Math.abs(output.length / to - count / from)).toBeLessThanOrEqual(0.5 / to + 1e-12);
      }),
    );
  });

  it('is linear', () => {
    const signal = fc.array(fc.float({ min: -1, max: 1, noNaN: true }), { minLength: 40, maxLength: 40 });
    fc.assert(
      fc.property(signal, signal, (a, b) => {
        const sum = resample(
          Float32Array.from(a, (value, n) => value + (b[n] ?? 0)),
          44100,
          16000,
        );
        const first = resample(Float32Array.from(a), 44100, 16000);
        const second = resample(Float32Array.from(b), 44100, 16000);
        expect(
          difference(
            sum,
            first.map((value, n) => value + (second[n] ?? 0)),
          ),
        ).toBeLessThan(1e-5);
      }),
    );
  });

  it('works for rates with more phases than are kept', () => {
    const output = resample(sine(440, 16000, 3200), 16000, 15999);
    expect(difference(inner(output), inner(sine(440, 15999, output.length)))).toBeLessThan(1e-3);
  });

  it('gives the same array at the same rate', () => {
    const samples = sine(440, 16000, 100);
    expect(resample(samples, 16000, 16000)).toBe(samples);
  });

  it.each([0, -1, 0.5, Number.NaN, 768_001, Infinity])('refuses a rate of %s', (wrong) => {
    const refusal = expect.objectContaining({ code: 'bad-input' });
    expect(() => createResampler(wrong, 16000)).toThrow(refusal);
    expect(() => createResampler(16000, wrong)).toThrow(refusal);
  });
});

describe('resampleInPieces', () => {
  it('gives the same samples and pauses between pieces', async () => {
    const samples = sine(440, 48000, 48000);
    let pauses = 0;
    const pieces = await resampleInPieces(samples, 48000, 16000, async () => {
      pauses += 1;
    });
    expect(pieces).toEqual(resample(samples, 48000, 16000));
    expect(pauses).toBe(Math.ceil(16000 / PIECE_SAMPLES) - 1);
  });
});
