import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isIsthmusError } from '../../src/errors.ts';
import {
  type ChooseInput,
  choosePlan,
  ENDPOINT_DOWN,
  LEAST_SPLIT_GAIN,
  WEIGHTS_MISSING,
} from '../../src/planner/choose.ts';
import { speechManifest } from '../fixtures/manifest.ts';
import { endpointOf, flatSide, inputOf, linkOf, sideOf } from './sides.ts';

const manifest = speechManifest();
const choose = (overrides: Partial<ChooseInput> = {}) => choosePlan(inputOf(manifest, overrides));

function failureOf(overrides: Partial<ChooseInput>) {
  try {
    choose(overrides);
  } catch (error) {
    if (isIsthmusError(error)) return error;
    throw error;
  }
  throw new Error('a plan was chosen');
}

describe('choosePlan', () => {
  it('takes the smallest total of all that may run, then the soonest first token', () => {
    const range = (min: number, max: number) => fc.double({ min, max, noNaN: true });
    const inputs = fc.record({
      device: range(1, 5_000),
      endpoint: range(1, 5_000),
      rtt: range(0.1, 400),
      up: range(2_000, 1e8),
      down: range(2_000, 1e8),
      missing: range(0, 1e7),
      state: fc.constantFrom('up', 'down', 'unknown'),
    });
    fc.assert(
      fc.property(inputs, ({ device, endpoint, rtt, up, down, missing, state }) => {
        const { chosen, plans } = choose({
          device: sideOf(manifest, device),
          endpoint: endpointOf(sideOf(manifest, endpoint)),
          link: linkOf(rtt, up, down),
          missingWeightBytes: (cut) => missing * cut,
          endpointState: state as 'up' | 'down' | 'unknown',
        });
        expect(chosen).toBe(plans[0]);
        expect(plans).toHaveLength(41);
        for (const plan of plans) {
          if (plan.rejected !== undefined) continue;
          // A cut must promise more than a pure plan by a margin, any other plan just less time.
          const margin = chosen.kind !== 'split' && plan.kind === 'split' ? 1 - LEAST_SPLIT_GAIN : 1;
          expect(chosen.prediction.totalMs * margin).toBeLessThanOrEqual(plan.prediction.totalMs);
          if (plan.kind !== 'split' && chosen.kind === 'split') {
            expect(chosen.prediction.totalMs).toBeLessThan(
              plan.prediction.totalMs * (1 - LEAST_SPLIT_GAIN) * (1 + 1e-12),
            );
          }
          if (chosen.prediction.totalMs === plan.prediction.totalMs) {
            expect(chosen.prediction.ttftMs).toBeLessThanOrEqual(plan.prediction.ttftMs);
          }
        }
        if (state === 'down') expect(chosen.id).toBe('local');
      }),
    );
  });

  it('gives the same answer to the same question', () => {
    expect(choose()).toEqual(choose());
  });

  it('prefers the first in order where all is equal: local', () => {
    const free = flatSide(manifest, 0, 0, 0);
    const { chosen } = choose({
      device: free,
      endpoint: endpointOf(free),
      link: linkOf(0, 1e300, 1e300),
    });
    expect(chosen.id).toBe('local');
  });

  it('chooses each kind of plan where that kind is right', () => {
    const fast = endpointOf(sideOf(manifest, 40));
    const slowDevice = sideOf(manifest, 4_000);
    expect(choose({ device: slowDevice, endpoint: fast, link: linkOf(5, 1e7, 1e7) }).chosen.id).toBe(
      'remote',
    );
    expect(choose({ endpoint: endpointOf(sideOf(manifest, 4_000)) }).chosen.id).toBe('local');
    // The encoder is quick here, its output small, the raw input large and the decoder slow.
    const split = choose({
      device: flatSide(manifest, 1, 1, 5),
      endpoint: endpointOf(flatSide(manifest, 2, 0.5, 0.2)),
      link: linkOf(20, 500_000, 500_000),
    });
    expect(split.chosen.id).toBe('split@7/int8');
    expect(split.chosen.leaves).toEqual(['encoder.7']);
    expect(split.chosen.provider).toBe('wasm');
  });

  it('runs at the endpoint while weights are still to come, and says so', () => {
    const { chosen, reason } = choose({ missingWeightBytes: (cut) => 4_000_000 * cut });
    expect(chosen.id).toBe('remote');
    expect(chosen.provider).toBe('cpu');
    expect(reason).toMatch(
      /^remote: \d+ ms predicted, \d+% sooner than local \(.*\) because local first fetches 56\.0 MB of weights/,
    );
  });

  it('says why in numbers: against local and remote', () => {
    const { reason } = choose({
      device: flatSide(manifest, 1, 1, 5),
      endpoint: endpointOf(flatSide(manifest, 2, 0.5, 0.2)),
      link: linkOf(20, 500_000, 500_000),
    });
    expect(reason).toMatch(/^split@7\/int8: \d+ ms predicted, \d+% sooner than /);
    expect(reason).toContain('remote sends 256 KB up at 500 KB/s');
  });

  it('names the stage that the endpoint runs faster', () => {
    const { chosen, reason } = choose({
      device: flatSide(manifest, 1, 0, 5),
      endpoint: endpointOf(flatSide(manifest, 2, 0, 0.5)),
      link: linkOf(20, 400_000, 400_000),
    });
    expect(chosen.cut).toBe(7);
    expect(reason).toContain('because the endpoint runs decoder 10x faster than this device');
  });

  it('names the link where local wins by it', () => {
    const { chosen, reason } = choose({ link: linkOf(300, 20_000, 20_000) });
    expect(chosen.id).toBe('local');
    expect(reason).toMatch(/sooner than remote .* because remote sends 256 KB up at 20 KB\/s/);
  });

  it('names waiting at the endpoint, and a plan that a limit rules out', () => {
    const busy = endpointOf(sideOf(manifest, 390), 500);
    expect(choose({ endpoint: busy, link: linkOf(5, 1e8, 1e8) }).reason).toContain(
      'because the endpoint lets work wait (500 ms a turn)',
    );
    const noLocal = (plan: { id: string }) => (plan.id === 'local' ? 'no memory' : undefined);
    expect(choose({ limits: [noLocal] }).reason).toMatch(/; local ruled out: no memory$/);
  });

  it('never says that the side which gained work is the slower one', () => {
    const range = fc.double({ min: 20, max: 2_000, noNaN: true });
    fc.assert(
      fc.property(range, range, fc.double({ min: 0, max: 500, noNaN: true }), (here, there, queueMs) => {
        const { chosen, reason } = choose({
          device: sideOf(manifest, here),
          endpoint: endpointOf(sideOf(manifest, there), queueMs),
          link: linkOf(1, 1e9, 1e9),
        });
        if (chosen.kind === 'local') expect(reason).not.toContain('faster than this device');
        if (chosen.kind === 'remote') expect(reason).not.toContain('faster than the endpoint');
      }),
    );
  });

  it('prices a forced plan and says that it was asked for', () => {
    const { chosen, reason, plans } = choose({ choice: { cut: 9, codec: 'fp16' } });
    expect(chosen.id).toBe('split@9/fp16');
    expect(plans).toHaveLength(1);
    expect(reason).toContain('as the options ask');
  });

  it('runs here when the endpoint is down, with the others listed and rejected', () => {
    const { chosen, plans, reason } = choose({ endpointState: 'down', link: linkOf(1, 1e9, 1e9) });
    expect(chosen.id).toBe('local');
    expect(plans.slice(1).every(({ rejected }) => rejected === ENDPOINT_DOWN)).toBe(true);
    expect(reason).toContain(`the only plan that can run; 40 plans ruled out: ${ENDPOINT_DOWN}`);
  });

  it('fails with weights-missing when neither endpoint nor weights can be reached', () => {
    const offline = { endpointState: 'down', weightsReachable: false } as const;
    const error = failureOf({ ...offline, missingWeightBytes: () => 1 });
    expect(error.code).toBe('weights-missing');
    expect(error.details.rejected).toMatchObject({ local: WEIGHTS_MISSING, remote: ENDPOINT_DOWN });
    expect(choose({ ...offline, missingWeightBytes: () => 0 }).chosen.id).toBe('local');
  });

  it('uses only weights that are here when others cannot be fetched', () => {
    const { plans } = choose({
      weightsReachable: false,
      missingWeightBytes: (cut) => Math.max(0, cut - 3) * 4e6,
    });
    for (const plan of plans) expect(plan.rejected).toBe(plan.cut > 3 ? WEIGHTS_MISSING : undefined);
  });

  it('rejects plans that a further limit rules out, and fails with no-plan when that is all', () => {
    const noRaw = (plan: { leaves: readonly string[] }) =>
      plan.leaves.includes('audio') ? 'audio stays here' : undefined;
    const { plans } = choose({ limits: [noRaw] });
    expect(plans.filter(({ rejected }) => rejected !== undefined).map(({ id }) => id)).toEqual(['remote']);
    const error = failureOf({ choice: 'remote', limits: [noRaw] });
    expect(error.code).toBe('no-plan');
    expect(error.details).toEqual({ rejected: { remote: 'audio stays here' } });
  });

  it('has local alone without an endpoint, and no plan for what would need one', () => {
    const { endpoint: _, ...rest } = inputOf(manifest);
    const { chosen, plans, reason } = choosePlan(rest);
    expect(chosen.id).toBe('local');
    expect(plans).toHaveLength(1);
    expect(reason).toContain('the only plan that can run');
    expect(() => choosePlan({ ...rest, choice: 'remote' })).toThrow('there is none');
  });

  it('decides among 64 blocks and 3 codecs', () => {
    const large = speechManifest({ encoderBlocks: 32, decoderBlocks: 32 });
    const input = inputOf(large);
    for (let warm = 0; warm < 50; warm += 1) choosePlan(input);
    const begin = performance.now();
    const rounds = 200;
    for (let round = 0; round < rounds; round += 1) choosePlan(input);
    const each = (performance.now() - begin) / rounds;
    console.info(`64 blocks x 3 codecs: ${each.toFixed(3)} ms a decision`);
    expect(choosePlan(input).plans).toHaveLength(2 + 63 * 3);
  });
});
