import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fitProfile, isUsable, type Measurement } from '../../src/device/fit.ts';
import { phaseMs, prefixMs, spanMs, wholeMs } from '../../src/device/span-ms.ts';
import { decoderManifest, speechManifest } from '../fixtures/manifest.ts';

const manifest = speechManifest();
const blocks = manifest.blocks.length;
const UNITS = 64_000;
const ROWS = UNITS / 400;

function once(from: number, to: number, units: number, ms: number): Measurement {
  return { segment: { stage: 0, from, to }, phase: 'once', units, ms };
}

function step(from: number, to: number, ms: number): Measurement {
  return { segment: { stage: 1, from, to }, phase: 'step', units: 1, ms };
}

function init(from: number, to: number, units: number, ms: number): Measurement {
  return { segment: { stage: 1, from, to }, phase: 'init', units, ms };
}

function spanOf(measurements: readonly Measurement[], from: number, to: number, units = UNITS) {
  const { side } = fitProfile(manifest, 'wasm', measurements);
  return spanMs(prefixMs(side, manifest, units), { from, to });
}

describe('fitProfile', () => {
  it('gives back what was measured, shared out among the blocks', () => {
    const measured = [once(0, 7, UNITS, 70), step(7, 14, 14), init(7, 14, ROWS, 21)];
    const whole = spanOf(measured, 0, blocks);
    expect(whole.once).toBeCloseTo(70);
    expect(whole.init).toBeCloseTo(21);
    expect(whole.step).toBeCloseTo(14);
    expect(spanOf(measured, 2, 3).once).toBeCloseTo(10);
    expect(spanOf(measured, 7, 9).step).toBeCloseTo(4);
  });

  it('fits overlapping segments to every sum', () => {
    const measured = [once(0, 7, UNITS, 90), once(0, 1, UNITS, 30), once(0, 3, UNITS, 44)];
    expect(spanOf(measured, 0, 1).once).toBeCloseTo(30, 3);
    expect(spanOf(measured, 0, 3).once).toBeCloseTo(44, 3);
    expect(spanOf(measured, 0, 7).once).toBeCloseTo(90, 3);
    expect(spanOf(measured, 3, 4).once).toBeCloseTo(46 / 4, 3);
  });

  it('finds true block costs from whole stages and single blocks, for any costs', () => {
    const costs = fc.array(fc.double({ min: 0.2, max: 200, noNaN: true }), { minLength: 7, maxLength: 7 });
    fc.assert(
      fc.property(costs, (truth) => {
        const measured = truth.map((ms, index) => once(index, index + 1, UNITS, ms));
        measured.push(
          once(
            0,
            7,
            UNITS,
            truth.reduce((sum, ms) => sum + ms, 0),
          ),
        );
        truth.forEach((ms, index) => {
          expect(spanOf(measured, index, index + 1).once / ms).toBeCloseTo(1, 3);
        });
      }),
    );
  });

  it('separates a fixed part from two sizes and interpolates between them', () => {
    const measured = [once(0, 7, 16_000, 20 + 16), once(0, 7, 64_000, 20 + 64), once(0, 2, 64_000, 12)];
    expect(spanOf(measured, 0, 7, 32_000).once).toBeCloseTo(20 + 32, 1);
    expect(spanOf(measured, 0, 2, 64_000).once).toBeCloseTo(12, 1);
    expect(spanOf(measured, 0, 2, 32_000).once).toBeCloseTo((12 * 52) / 84, 1);
  });

  it('takes a phase timed at one size as proportional', () => {
    expect(spanOf([once(0, 7, UNITS, 70)], 0, 7, UNITS / 2).once).toBeCloseTo(35);
  });

  it('never predicts less for a larger input, even from times that fell', () => {
    const measured = [once(0, 7, 16_000, 80), once(0, 7, 64_000, 60)];
    const sizes = [1_000, 16_000, 40_000, 64_000, 200_000].map((units) => spanOf(measured, 0, 7, units).once);
    expect(sizes).toEqual([...sizes].sort((a, b) => a - b));
    expect(sizes[2]).toBeGreaterThan(55);
    expect(sizes[2]).toBeLessThan(85);
  });

  it('predicts unmeasured blocks of a stage by their work', () => {
    const uneven = {
      ...manifest,
      blocks: manifest.blocks.map((block) =>
        block.index === 5 ? { ...block, weightBytes: 3 * block.weightBytes, nodes: 3 * block.nodes } : block,
      ),
    };
    const { side } = fitProfile(uneven, 'wasm', [once(0, 4, UNITS, 40)]);
    expect(phaseMs(side.blocks[4]?.once, UNITS)).toBeCloseTo(10);
    expect(phaseMs(side.blocks[5]?.once, UNITS)).toBeCloseTo(30);
  });

  it('predicts unmeasured stages in proportion to the measured one', () => {
    const slow = spanOf([once(0, 7, UNITS, 700)], 7, 14);
    const fast = spanOf([once(0, 7, UNITS, 70)], 7, 14);
    expect(fast.step).toBeGreaterThan(0);
    expect(fast.init).toBeGreaterThan(0);
    expect(slow.step / fast.step).toBeCloseTo(10);
    expect(slow.init / fast.init).toBeCloseTo(10);
  });

  it('is surer the more was measured, and not sure at all of nothing', () => {
    const confidence = (measured: readonly Measurement[]) =>
      fitProfile(manifest, 'wasm', measured).side.confidence;
    const some = confidence([once(0, 7, UNITS, 70)]);
    const all = confidence([once(0, 7, UNITS, 70), step(7, 14, 10), init(7, 14, ROWS, 5)]);
    expect(confidence([])).toBe(0);
    expect(some).toBeGreaterThan(0);
    expect(all).toBeGreaterThan(some);
    expect(all).toBeLessThan(1);
  });

  it('knows no init without context', () => {
    const model = decoderManifest();
    const { side } = fitProfile(model, 'cpu', [
      { segment: { stage: 0, from: 0, to: 7 }, phase: 'step', units: 1, ms: 7 },
    ]);
    expect(side.blocks[0]?.init).toBeUndefined();
    expect(wholeMs(side, model, { units: 0, tokens: 10 })).toBeCloseTo(70);
  });

  it('leaves out measurements that cannot be of this model', () => {
    const wrong: Measurement[] = [
      once(0, 8, UNITS, 50),
      once(3, 3, UNITS, 50),
      once(-1, 3, UNITS, 50),
      once(0, 7, Number.NaN, 50),
      once(0, 7, UNITS, Number.NaN),
      once(0, 7, UNITS, -3),
      once(0, 7, UNITS, 1e12),
      { segment: { stage: 9, from: 0, to: 1 }, phase: 'once', units: 1, ms: 1 },
      { segment: { stage: 0, from: 0, to: 7 }, phase: 'step', units: 1, ms: 1 },
    ];
    expect(wrong.filter((one) => isUsable(manifest, one))).toEqual([]);
    expect(fitProfile(manifest, 'wasm', wrong)).toEqual(fitProfile(manifest, 'wasm', []));
  });

  it('gives finite costs above 0 for any measurements', () => {
    const segment = fc.tuple(fc.integer({ min: 0, max: 6 }), fc.integer({ min: 1, max: 7 }));
    const units = fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1e6, noNaN: true }));
    const ms = fc.oneof(fc.constant(0), fc.double({ min: 0, max: 6e5, noNaN: true }));
    const any = fc.tuple(segment, units, ms).map(([[a, b], n, t]) => once(Math.min(a, b - 1), b, n, t));
    fc.assert(
      fc.property(fc.array(any, { maxLength: 20 }), (measured) => {
        const whole = spanOf(measured, 0, blocks);
        for (const value of Object.values(whole)) {
          expect(Number.isFinite(value)).toBe(true);
          expect(value).toBeGreaterThan(0);
        }
      }),
    );
  });
});
