/** What a decision does, in counts: wall clocks say more of the machine than of the code. */
import { describe, expect, it } from 'vitest';
import { priorSide } from '../../src/device/prior.ts';
import type { Manifest } from '../../src/package/manifest.ts';
import { choosePlan } from '../../src/planner/choose.ts';
import { deepened } from '../../src/simulation/deepened.ts';
import { speechManifest } from '../fixtures/manifest.ts';
import { endpointOf, inputOf } from './sides.ts';

/** An array that counts how often its elements are read. */
function counted<T extends object>(list: readonly T[], onRead: () => void): readonly T[] {
  return new Proxy(list, {
    get: (target, key, receiver) => {
      if (typeof key === 'string' && /^\d+$/.test(key)) onRead();
      return Reflect.get(target, key, receiver);
    },
  });
}

function workOf(blocks: number) {
  const model = deepened(speechManifest(), blocks);
  const count = { plans: 0, costs: 0, cuts: 0, blocks: 0 };
  const side = priorSide(model, 'wasm');
  const told = counted(side.blocks, () => {
    count.costs += 1;
  });
  const manifest: Manifest = {
    ...model,
    cuts: counted(model.cuts, () => {
      count.cuts += 1;
    }),
    blocks: counted(model.blocks, () => {
      count.blocks += 1;
    }),
  };
  // The helper prices profiles of its own, which is no part of a decision.
  const input = {
    ...inputOf(model, {
      device: { ...side, blocks: told },
      endpoint: endpointOf({ ...side, blocks: told }),
      codecs: ['fp32', 'fp16', 'int8'],
      missingWeightBytes: () => {
        count.plans += 1;
        return 0;
      },
    }),
    manifest,
  };
  const { plans } = choosePlan(input);
  return { ...count, listed: plans.length };
}

describe('a decision at 64 blocks', () => {
  const work = workOf(64);

  it('prices each plan once, and there are no more than three for each cut', () => {
    expect(work.listed).toBeLessThanOrEqual(3 * 64 + 1);
    // Nothing is missing where all runs at the endpoint, and nobody asks.
    expect(work.plans).toBeLessThanOrEqual(work.listed);
  });

  it('reads each block and each cost a few times in all, and each cut a few times a plan', () => {
    expect(work.costs).toBeLessThanOrEqual(2 * 64);
    expect(work.blocks).toBeLessThanOrEqual(8 * 64 + 2 * work.listed);
    expect(work.cuts).toBeLessThanOrEqual(64 + 8 * work.listed);
  });

  it('grows with the number of blocks and not with its square', () => {
    const twice = workOf(128);
    for (const key of ['plans', 'costs', 'cuts', 'blocks', 'listed'] as const) {
      expect(twice[key]).toBeLessThanOrEqual(2.1 * work[key]);
    }
  });
});
