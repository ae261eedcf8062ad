import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { splitAtQuiet } from '../../../src/tasks/audio/split-quiet.ts';

const RATE = 1000;

/** A loud tone with silence in the given stretches, in seconds. */
function toneWithPauses(seconds: number, pauses: readonly (readonly [number, number])[]): Float32Array {
  return Float32Array.from({ length: seconds * RATE }, (_, n) => {
    const quiet = pauses.some(([from, to]) => n >= from * RATE && n < to * RATE);
    return quiet ? 0 : Math.sin(n * 0.7);
  });
}

function lengths(pieces: readonly Float32Array[]): number[] {
  return pieces.map((piece) => piece.length);
}

describe('splitAtQuiet', () => {
  it('leaves audio that is short enough in one piece', () => {
    expect(lengths(splitAtQuiet(new Float32Array(5000), { sampleRate: RATE, maxSeconds: 5 }))).toEqual([
      5000,
    ]);
  });

  it('gives no pieces for no audio', () => {
    expect(splitAtQuiet(new Float32Array(), { sampleRate: RATE, maxSeconds: 5 })).toEqual([]);
  });

  it('cuts inside a pause', () => {
    const audio = toneWithPauses(12, [[7.5, 8]]);
    const [first = 0, second = 0] = lengths(splitAtQuiet(audio, { sampleRate: RATE, maxSeconds: 10 }));
    expect(first).toBeGreaterThanOrEqual(7500);
    expect(first).toBeLessThanOrEqual(8000);
    expect(first + second).toBe(12_000);
  });

  it('takes the later of two equal pauses, so that pieces stay long', () => {
    const audio = toneWithPauses(12, [
      [6.5, 7],
      [9, 9.5],
    ]);
    const [first = 0] = lengths(splitAtQuiet(audio, { sampleRate: RATE, maxSeconds: 10 }));
    expect(first).toBeGreaterThanOrEqual(9000);
  });

  it('cuts at the limit where no place is quieter than another', () => {
    const pieces = splitAtQuiet(new Float32Array(25_000), { sampleRate: RATE, maxSeconds: 10 });
    expect(lengths(pieces)).toEqual([10_000, 10_000, 5000]);
  });

  it('covers every sample exactly once, in order, within the limit', () => {
    const level = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(
        fc.array(level, { maxLength: 60 }),
        fc.integer({ min: 1, max: 97 }),
        fc.double({ min: 0.001, max: 3, noNaN: true }),
        (levels, width, maxSeconds) => {
          const audio = Float32Array.from({ length: levels.length * width }, (_, n) => {
            return (levels[Math.floor(n / width)] ?? 0) * Math.sin(n);
          });
          const pieces = splitAtQuiet(audio, { sampleRate: RATE, maxSeconds });
          let offset = 0;
          for (const piece of pieces) {
            expect(piece.buffer).toBe(audio.buffer);
            expect(piece.byteOffset).toBe(offset * 4);
            expect(piece.length).toBeGreaterThan(0);
            expect(piece.length).toBeLessThanOrEqual(maxSeconds * RATE);
            offset += piece.length;
          }
          expect(offset).toBe(audio.length);
        },
      ),
    );
  });

  it.each([0, -1, 0.0001, Number.NaN, Infinity])('refuses pieces of %s seconds', (maxSeconds) => {
    expect(() => splitAtQuiet(new Float32Array(9), { sampleRate: RATE, maxSeconds })).toThrow(
      expect.objectContaining({ code: 'bad-option' }),
    );
  });
});
