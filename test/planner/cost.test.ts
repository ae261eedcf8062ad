import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Manifest } from '../../src/package/manifest.ts';
import { crossingBytes, messageBytes } from '../../src/planner/bytes.ts';
import { costModel, type PlanningInput, predict } from '../../src/planner/cost.ts';
import { enumeratePlans, leavingTensors } from '../../src/planner/enumerate.ts';
import type { Prediction } from '../../src/planner/types.ts';
import { decoderManifest, encoderManifest, speechManifest } from '../fixtures/manifest.ts';
import { endpointOf, flatSide, inputOf, linkOf, sideOf, WORKLOAD } from './sides.ts';

const manifest = speechManifest();
const TOKENS = WORKLOAD.tokens;
const TOKEN_MS = messageBytes([8]) / 1_000;

/** 1 MB/s each way, 50 ms: a byte takes a microsecond. */
const base = inputOf(manifest, {
  device: flatSide(manifest, 10, 3, 2),
  endpoint: endpointOf(flatSide(manifest, 1, 0.5, 0.25), 5),
  link: linkOf(50, 1e6, 1e6),
});

function price(id: string, overrides: Partial<PlanningInput> = {}, of: Manifest = manifest): Prediction {
  const input = { ...base, manifest: of, ...overrides };
  const shape = enumeratePlans(of, {
    choice: 'auto',
    codecs: ['fp32', 'fp16', 'int8'],
    hasEndpoint: true,
  }).find((plan) => plan.id === id);
  if (shape === undefined) throw new Error(`no plan ${id}`);
  return predict(shape, costModel(input));
}

function crossing(cut: number, phase: 'once' | 'init' | 'step') {
  const found = manifest.cuts[cut]?.crossings[phase];
  if (found === undefined) throw new Error(`nothing crosses ${cut} in ${phase}`);
  return found;
}

describe('predict', () => {
  it('prices local as the device alone', () => {
    const local = price('local');
    expect(local.deviceMs).toBeCloseTo(70 + 21 + TOKENS * 14);
    expect(local.totalMs).toBeCloseTo(local.deviceMs);
    expect(local.ttftMs).toBeCloseTo(70 + 21 + 14);
    expect(local).toMatchObject({
      endpointMs: 0,
      linkMs: 0,
      weightsMs: 0,
      bytesUp: 0,
      bytesDown: 0,
      roundTrips: 0,
    });
  });

  it('prices remote as the input up, one round trip and a stream', () => {
    const remote = price('remote');
    const bytesUp = crossingBytes(crossing(0, 'once'), WORKLOAD.units, 'fp32');
    expect(remote.bytesUp).toBe(bytesUp);
    expect(bytesUp).toBeGreaterThan(4 * WORKLOAD.units);
    expect(remote.deviceMs).toBe(0);
    expect(remote.roundTrips).toBe(1);
    expect(remote.ttftMs).toBeCloseTo(50 + bytesUp / 1_000 + TOKEN_MS + 5 + 7 + 3.5 + 1.75);
    expect(remote.totalMs).toBeCloseTo(remote.ttftMs + (TOKENS - 1) * 1.75);
  });

  it('prices a cut before the loop as the context up and a stream', () => {
    const split = price('split@7/int8');
    const bytesUp = crossingBytes(crossing(7, 'once'), WORKLOAD.units, 'int8');
    expect(split.bytesUp).toBeCloseTo(bytesUp);
    expect(split.deviceMs).toBeCloseTo(70);
    expect(split.ttftMs).toBeCloseTo(70 + 50 + bytesUp / 1_000 + TOKEN_MS + 5 + 3.5 + 1.75);
    expect(split.totalMs).toBeCloseTo(split.ttftMs + (TOKENS - 1) * 1.75);
    expect(split.roundTrips).toBe(1);
  });

  it('prices a cut inside the loop with a round trip and a turn per token', () => {
    const split = price('split@9/fp16');
    const rows = WORKLOAD.units / 400;
    const initBytes = crossingBytes(crossing(9, 'init'), rows, 'fp16');
    const stepBytes = crossingBytes(crossing(9, 'step'), 1, 'fp16');
    const perToken = 2 * 2 + 50 + stepBytes / 1_000 + TOKEN_MS + 5 + 5 * 0.25;
    expect(split.roundTrips).toBe(TOKENS);
    expect(split.bytesUp).toBeCloseTo(initBytes + TOKENS * stepBytes);
    expect(split.totalMs).toBeCloseTo(70 + 2 * 3 + initBytes / 1_000 + 5 * 0.5 + TOKENS * perToken);
    expect(split.ttftMs).toBeCloseTo(70 + 2 * 3 + initBytes / 1_000 + 5 * 0.5 + perToken);
  });

  it('lets a slow downlink hold a stream up', () => {
    const slow = price('remote', { link: linkOf(50, 1e6, 5_000) });
    const tokenMs = (1_000 * messageBytes([8])) / 5_000;
    expect(slow.totalMs - slow.ttftMs).toBeCloseTo((TOKENS - 1) * tokenMs);
  });

  it('adds the fetching of missing weights and the building of sessions, for what the device runs', () => {
    const missing = {
      missingWeightBytes: (cut: number) => cut * 1_000_000,
      loadMs: (cut: number) => cut * 10,
    };
    expect(price('split@7/fp32', missing).weightsMs).toBeCloseTo(50 + 7_000 + 70);
    expect(price('split@7/fp32', missing).weightBytes).toBe(7_000_000);
    expect(price('local', missing).totalMs).toBeCloseTo(price('local').totalMs + 50 + 14_000 + 140);
    expect(price('remote', { missingWeightBytes: () => 5e6, loadMs: () => 99 }).weightsMs).toBe(0);
  });

  it('prices a model without a loop as one trip, its output coming back', () => {
    const model = encoderManifest();
    const sides = { device: flatSide(model, 10, 0, 0), endpoint: endpointOf(flatSide(model, 1, 0, 0), 5) };
    const split = price('split@3/fp32', sides, model);
    const bytesDown = messageBytes([4 * 288 * (WORKLOAD.units / 400)]);
    expect(split.bytesDown).toBe(bytesDown);
    expect(split.totalMs).toBeCloseTo(30 + 50 + split.bytesUp / 1_000 + 5 + 4 + bytesDown / 1_000);
    expect(split.ttftMs).toBeCloseTo(split.totalMs);
    expect(split.roundTrips).toBe(1);
  });

  it('streams a language model from its token ids, and steps inside it', () => {
    const model = decoderManifest();
    const sides = { device: flatSide(model, 0, 0, 2), endpoint: endpointOf(flatSide(model, 0, 0, 0.25), 5) };
    const remote = price('remote', sides, model);
    expect(remote.bytesUp).toBe(messageBytes([8]));
    expect(remote.roundTrips).toBe(1);
    expect(price('split@3/fp32', sides, model).roundTrips).toBe(TOKENS);
    const unlisted = {
      ...model,
      cuts: model.cuts.map((cut) => (cut.cut === 0 ? { cut: 0, crossings: {} } : cut)),
    };
    expect(price('remote', sides, unlisted)).toEqual(remote);
    expect(leavingTensors(unlisted, 0)).toEqual(['tokens']);
  });

  const plans = enumeratePlans(manifest, {
    choice: 'auto',
    codecs: ['fp32', 'fp16', 'int8'],
    hasEndpoint: true,
  });
  const positive = (min: number, max: number) => fc.double({ min, max, noNaN: true });
  const inputs = fc
    .record({
      device: positive(1, 20_000),
      endpoint: positive(1, 20_000),
      queueMs: positive(0, 500),
      rttMs: positive(0.1, 500),
      up: positive(2_000, 1e8),
      down: positive(2_000, 1e8),
      units: positive(0, 480_000),
      tokens: fc.integer({ min: 0, max: 200 }),
      missing: positive(0, 1e8),
    })
    .map((one) => ({
      one,
      input: inputOf(manifest, {
        device: sideOf(manifest, one.device),
        endpoint: endpointOf(sideOf(manifest, one.endpoint), one.queueMs),
        link: linkOf(one.rttMs, one.up, one.down),
        workload: { units: one.units, tokens: one.tokens },
        missingWeightBytes: (cut) => (one.missing * cut) / 14,
      }),
    }));

  it('is the sum of its parts, and the first token is never later than the last', () => {
    fc.assert(
      fc.property(inputs, ({ input }) => {
        const model = costModel(input);
        for (const plan of plans) {
          const prediction = predict(plan, model);
          const { totalMs, ttftMs, deviceMs, endpointMs, linkMs, weightsMs } = prediction;
          for (const value of Object.values(prediction)) {
            expect(Number.isFinite(value)).toBe(true);
            expect(value).toBeGreaterThanOrEqual(0);
          }
          expect(totalMs).toBeCloseTo(deviceMs + endpointMs + linkMs + weightsMs, 6);
          expect(ttftMs).toBeLessThanOrEqual(totalMs * (1 + 1e-9));
        }
      }),
    );
  });

  it('never gets worse with a better link', () => {
    const better = fc.record({ up: positive(1, 100), down: positive(1, 100), rtt: positive(1, 100) });
    fc.assert(
      fc.property(inputs, better, ({ one, input }, { up, down, rtt }) => {
        const link = linkOf(one.rttMs / rtt, one.up * up, one.down * down);
        const [before, after] = [costModel(input), costModel({ ...input, link })];
        for (const plan of plans) {
          const [was, is] = [predict(plan, before), predict(plan, after)];
          expect(is.totalMs).toBeLessThanOrEqual(was.totalMs * (1 + 1e-9));
          expect(is.ttftMs).toBeLessThanOrEqual(was.ttftMs * (1 + 1e-9));
        }
      }),
    );
  });

  it('never gets worse with a faster device, and local gets strictly better', () => {
    fc.assert(
      fc.property(inputs, positive(1.01, 50), ({ one, input }, factor) => {
        const device = sideOf(manifest, one.device / factor);
        const [before, after] = [costModel(input), costModel({ ...input, device })];
        for (const plan of plans) {
          const [was, is] = [predict(plan, before).totalMs, predict(plan, after).totalMs];
          expect(is).toBeLessThanOrEqual(was * (1 + 1e-9));
          if (plan.kind === 'local' && one.tokens > 0) expect(is).toBeLessThan(was);
        }
      }),
    );
  });

  it('sends no more bytes under a stronger codec', () => {
    for (let cut = 1; cut < 14; cut += 1) {
      const [full, half, quarter] = ['fp32', 'fp16', 'int8'].map((codec) => price(`split@${cut}/${codec}`));
      expect(half?.bytesUp).toBeLessThan(full?.bytesUp ?? 0);
      expect(quarter?.bytesUp).toBeLessThan(half?.bytesUp ?? 0);
      expect(quarter?.totalMs).toBeLessThan(full?.totalMs ?? 0);
    }
  });

  it('refuses a profile of another model', () => {
    expect(() => price('local', { device: sideOf(encoderManifest(), 5) })).toThrow('cannot price');
  });
});
