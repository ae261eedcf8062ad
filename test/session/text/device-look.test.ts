import { describe, expect, it } from 'vitest';
import {
  DeviceBelief,
  LOOK_BLOCKS,
  type LookCall,
  lookAtDevice,
} from '../../../src/session/text/device-look.ts';
import { Pace } from '../../../src/session/text/pace.ts';
import { llmManifest } from '../../fixtures/llm-manifest.ts';

const BLOCKS = 12;
const ALL = { from: 0, to: BLOCKS };
const manifest = llmManifest(BLOCKS);

interface Device {
  readonly msPerLayer: number;
  readonly callMs?: number;
  /** The first call takes so many times as long; each halves the surplus. */
  readonly cold?: number;
}

function look({ msPerLayer, callMs = 0, cold = 1 }: Device, isFrontApart = true) {
  const calls = lookAtDevice(LOOK_BLOCKS, isFrontApart);
  const made: LookCall[] = [];
  for (let next = calls.next(); ; ) {
    if (next.done) return { found: next.value, made };
    const { span, rows } = next.value;
    const layers = Math.max(0, span.to - 1);
    const work = callMs + layers * msPerLayer * (1 + (rows - 1) / 4);
    next = calls.next(work * (1 + (cold - 1) / 2 ** made.length));
    made.push(next.done ? { span, rows, position: 0 } : next.value);
  }
}

/** Ten layers, and a head as large as five. */
const stepMs = (msPerLayer: number): number => msPerLayer * (10 + 28.5 / 5.6);

function believed(device: Device, isFrontApart = true): number {
  const pace = new Pace(manifest);
  new DeviceBelief(pace).take(look(device, isFrontApart).found);
  return pace.ms(ALL, 1);
}

describe('a look at a device', () => {
  it('tells what the whole model takes, call apart and code compiled', () => {
    expect(believed({ msPerLayer: 1 })).toBeCloseTo(stepMs(1), 0);
    expect(believed({ msPerLayer: 1, callMs: 2 })).toBeCloseTo(stepMs(1), 0);
    expect(believed({ msPerLayer: 1, cold: 4 })).toBeLessThan(1.3 * stepMs(1));
  });

  it('runs the first block alone only where it is built alone', () => {
    const fronts = (isApart: boolean) =>
      look({ msPerLayer: 1 }, isApart).made.filter(({ span }) => span.to === 1);
    expect(fronts(false)).toEqual([]);
    expect(fronts(true).length).toBeGreaterThan(0);
  });

  it('ends soon on a device that is slow, and on one that always gets better', () => {
    expect(look({ msPerLayer: 500 }).made.length).toBeLessThan(8);
    expect(look({ msPerLayer: 1, cold: 1e6 }).made.length).toBeLessThan(20);
  });
});

describe('what looks change of a pace', () => {
  it('is all of it where nothing else ran, and nothing for noise', () => {
    const pace = new Pace(manifest);
    const belief = new DeviceBelief(pace);
    belief.take(look({ msPerLayer: 4 }).found);
    belief.take(look({ msPerLayer: 4.2 }).found);
    expect(pace.ms(ALL, 1)).toBeCloseTo(stepMs(4), 0);
    belief.take(look({ msPerLayer: 1 }).found);
    expect(pace.ms(ALL, 1)).toBeCloseTo(stepMs(1), 0);
  });

  it('is the share by which the device changed where answers have told more', () => {
    const pace = new Pace(manifest);
    const belief = new DeviceBelief(pace);
    belief.take(look({ msPerLayer: 1 }).found);
    // Answers show that all of it is slower than the first layers make think.
    for (let step = 0; step < 30; step += 1) pace.learn(ALL, 1, 24);
    belief.take(look({ msPerLayer: 1 }).found);
    expect(pace.ms(ALL, 1)).toBeCloseTo(24, 0);
    belief.take(look({ msPerLayer: 3 }).found);
    expect(pace.ms(ALL, 1)).toBeCloseTo(72, 0);
    // It changed between an answer and the look behind it.
    for (let step = 0; step < 30; step += 1) pace.learn(ALL, 1, 72);
    belief.take(look({ msPerLayer: 0.5 }).found);
    expect(pace.ms(ALL, 1)).toBeCloseTo(12, 0);
  });

  it('is doubted until two more looks agree, or answers came', () => {
    const pace = new Pace(manifest);
    const belief = new DeviceBelief(pace);
    expect(belief.isDoubted).toBe(false);
    belief.take(look({ msPerLayer: 4 }).found);
    expect(belief.isDoubted).toBe(true);
    belief.take(look({ msPerLayer: 1 }).found);
    belief.take(look({ msPerLayer: 1 }).found);
    expect(belief.isDoubted).toBe(true);
    belief.take(look({ msPerLayer: 1.05 }).found);
    expect(belief.isDoubted).toBe(false);

    const other = new Pace(manifest);
    const answered = new DeviceBelief(other);
    answered.take(look({ msPerLayer: 4 }).found);
    other.learn(ALL, 1, 30);
    expect(answered.isDoubted).toBe(false);
  });
});
