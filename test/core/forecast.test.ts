import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Forecast, fadeForecast, forecastOf, observeForecast } from '../../src/core/forecast.ts';
import { traceErrors } from '../../src/simulation/traces.ts';

function after(values: readonly number[]): Forecast | undefined {
  return values.reduce<Forecast | undefined>((state, value) => observeForecast(state, value), undefined);
}

const next = (values: readonly number[], usual = values.at(-1) ?? 1): number =>
  forecastOf(after(values), usual).value;

const amounts = fc.double({ min: 1e-3, max: 1e9, noNaN: true });
const many = (count: number, value: number): readonly number[] => Array.from({ length: count }, () => value);

describe('a forecast', () => {
  it('says what the caller says until a few values were seen', () => {
    expect(forecastOf(undefined, 7)).toEqual({ value: 7, by: 'usual' });
    expect(forecastOf(after([1, 1, 1]), 7)).toEqual({ value: 7, by: 'usual' });
  });

  it('of what never changes is that', () => {
    fc.assert(
      fc.property(amounts, fc.integer({ min: 1, max: 30 }), (value, count) => {
        expect(next(many(count, value)) / value).toBeCloseTo(1, 9);
      }),
    );
  });

  it('scales with what it forecasts: units do not matter', () => {
    fc.assert(
      fc.property(fc.array(amounts, { minLength: 1, maxLength: 30 }), amounts, (values, unit) => {
        const scaled = next(values.map((value) => value * unit)) / unit;
        expect(scaled / next(values)).toBeCloseTo(1, 6);
      }),
    );
  });

  it('stays positive and finite, and within twice what was seen where nothing drifts further', () => {
    fc.assert(
      fc.property(fc.array(amounts, { minLength: 1, maxLength: 40 }), (values) => {
        const said = next(values);
        expect(Number.isFinite(said) && said > 0).toBe(true);
      }),
    );
    fc.assert(
      fc.property(fc.array(fc.double({ min: 90, max: 110, noNaN: true }), { minLength: 5 }), (values) => {
        expect(next(values)).toBeGreaterThan(80);
        expect(next(values)).toBeLessThan(120);
      }),
    );
  });

  it('takes no notice of what cannot be', () => {
    const state = after([5, 5, 5, 5]);
    for (const value of [0, -1, Number.NaN, Infinity]) expect(observeForecast(state, value)).toBe(state);
    expect(observeForecast(state, 9, { weight: 0 })).toBe(state);
    expect(observeForecast(state, 9, { weight: Number.NaN })).toBe(state);
  });

  it('is hardly moved by one stall, and follows two that agree', () => {
    const calm = many(10, 40);
    expect(next([...calm, 400], 40)).toBeCloseTo(40, 1);
    const moved = after([...calm, 400, 390]);
    expect(Math.exp(moved?.next.level ?? 0)).toBeCloseTo(395, 0);
  });

  it('follows what drifts where its caller lags', () => {
    const rising = Array.from({ length: 40 }, (_, index) => 100 * 1.05 ** index);
    const last = rising.at(-1) ?? 0;
    // An estimator that lags by five.
    const said = forecastOf(
      rising.reduce<Forecast | undefined>(
        (state, value, index) => observeForecast(state, value, { usual: rising[Math.max(0, index - 5)] }),
        undefined,
      ),
      last / 1.05 ** 5,
    );
    expect(['same', 'trend']).toContain(said.by);
    expect(said.value / (last * 1.05)).toBeCloseTo(1, 1);
  });

  it('that has grown old gives way to the caller', () => {
    const state = fadeForecast(after(many(20, 40)), 6);
    expect(forecastOf(state, 80)).toEqual({ value: 80, by: 'usual' });
    expect(fadeForecast(undefined, 1)).toBeUndefined();
    const young = after([1, 2]);
    expect(fadeForecast(young, 0)).toBe(young);
  });
});

describe('over traces of round trips', () => {
  const errors = traceErrors(100, 1);

  it.each(errors)(
    'that $trace with noise $noise it loses next to nothing on the smoothed round trip',
    (one) => {
      // What choosing among forecasters costs where the caller's was the best of them all along.
      expect(one.forecast).toBeLessThan(1.04 * one.smoothed);
    },
  );

  it('it gains on the smoothed round trip where that lags or is too lively', () => {
    const of = (trace: string, noise: number) =>
      errors.find((one) => one.trace === trace && one.noise === noise) ?? { forecast: NaN, smoothed: NaN };
    for (const trace of ['stays', 'drifts one way', 'bursts']) {
      expect(of(trace, 0.05).forecast).toBeLessThan(0.9 * of(trace, 0.05).smoothed);
    }
  });

  it.each(errors.filter(({ noise, trace }) => noise >= 0.12 && trace !== 'bursts'))(
    'that $trace with noise $noise it beats "the same as last time"',
    (one) => {
      expect(one.forecast).toBeLessThan(one.same);
    },
  );
});
