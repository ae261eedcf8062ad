import { describe, expect, it } from 'vitest';
import {
  DeviceBelief,
  LOOK_BLOCKS,
  type LookCall,
  lookAtDevice,
  sizeOfLook,
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
  /** Of each further row, through one layer; default a quarter of a step. */
  readonly msPerRow?: number;
}

const FIRST = { blocks: LOOK_BLOCKS, hasRows: true };

function look(
  { msPerLayer, callMs = 0, cold = 1, msPerRow = msPerLayer / 4 }: Device,
  isFrontApart = true,
  size = FIRST,
) {
  const calls = lookAtDevice(size, isFrontApart);
  const made: LookCall[] = [];
  for (let next = calls.next(); ; ) {
    if (next.done) return { found: next.value, made };
    const { span, rows } = next.value;
    const layers = Math.max(0, span.to - 1);
    const work = callMs + layers * (msPerLayer + (rows - 1) * msPerRow);
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

  it('takes no more from the blocks than the first one takes when its code is compiled', () => {
    const calls = lookAtDevice(FIRST, true);
    let fronts = 0;
    for (let next = calls.next(); ; ) {
      if (next.done) {
        expect(next.value.stepMs).toBeCloseTo(2, 9);
        expect(next.value.many?.ms).toBeCloseTo(2, 9);
        break;
      }
      const isFront = next.value.span.to === 1;
      if (isFront) fronts += 1;
      next = calls.next(isFront ? (fronts === 1 ? 2.9 : 1) : 3);
    }
  });

  it('takes no noise of the first block from the others: the quickest of its runs counts', () => {
    const noise = [1.4, 2.9, 1, 1.8];
    const calls = lookAtDevice(FIRST, true);
    let fronts = 0;
    for (let next = calls.next(); ; ) {
      if (next.done) {
        expect(next.value.stepMs).toBeCloseTo(0.3, 9);
        break;
      }
      next = calls.next(next.value.span.to === 1 ? (noise[fronts++ % 4] ?? 0) : 1.3);
    }
  });

  it('ends soon on a device that is slow, and on one that always gets better', () => {
    expect(look({ msPerLayer: 500 }).made.length).toBeLessThan(8);
    expect(look({ msPerLayer: 1, cold: 1e6 }).made.length).toBeLessThan(20);
  });
});

describe('the size of a look', () => {
  it('is the first blocks until all are built, then a part with rows, and all of it behind answers', () => {
    expect(sizeOfLook(30, false, true)).toEqual({ blocks: 3, hasRows: true });
    expect(sizeOfLook(30, true, false)).toEqual({ blocks: 10, hasRows: true });
    expect(sizeOfLook(30, true, true)).toEqual({ blocks: 30, hasRows: false });
    expect(sizeOfLook(2, true, false)).toEqual({ blocks: 2, hasRows: true });
  });

  it('decides which calls are made', () => {
    const { made } = look({ msPerLayer: 1 }, true, { blocks: BLOCKS, hasRows: false });
    expect(made.every(({ rows, span }) => rows === 1 && span.to === BLOCKS)).toBe(true);
    expect(made.length).toBeLessThan(4);
  });
});

describe('what looks change of a pace', () => {
  function believing(...looks: Device[]) {
    const pace = new Pace(manifest);
    const belief = new DeviceBelief(pace);
    for (const device of looks) belief.take(look(device).found);
    const answer = (ms: number) => {
      for (let step = 0; step < 30; step += 1) pace.learn(ALL, 1, ms);
    };
    const step = () => pace.ms(ALL, 1);
    return { pace, belief, answer, step, take: (device: Device) => belief.take(look(device).found) };
  }

  it('is all of it where nothing else ran, and nothing for noise', () => {
    const { step, take } = believing({ msPerLayer: 4 });
    expect(take({ msPerLayer: 4.2 })).toBe(false);
    expect(step()).toBeCloseTo(stepMs(4), 0);
    expect(take({ msPerLayer: 1 })).toBe(true);
    expect(step()).toBeCloseTo(stepMs(1), 0);
  });

  it('has rows of their own factor, as long as no answer has told', () => {
    const { pace, take } = believing({ msPerLayer: 4, msPerRow: 4 });
    take({ msPerLayer: 2, msPerRow: 0.5 });
    const rowMs = (pace.ms(ALL, 17) - pace.ms(ALL, 1)) / 16;
    // Rows of a prompt run the ten layers, and not the head.
    expect(rowMs).toBeCloseTo(10 * 0.5, 1);
  });

  it('believes a slower device when three looks in a row have seen it, by the least of them', () => {
    const { step, take } = believing({ msPerLayer: 4 });
    expect(take({ msPerLayer: 12 })).toBe(false);
    expect(take({ msPerLayer: 8 })).toBe(false);
    expect(take({ msPerLayer: 4 })).toBe(false);
    expect(take({ msPerLayer: 12 })).toBe(false);
    expect(take({ msPerLayer: 8 })).toBe(false);
    expect(step()).toBeCloseTo(stepMs(4), 0);
    expect(take({ msPerLayer: 10 })).toBe(true);
    expect(step()).toBeCloseTo(stepMs(8), 0);
    // What ran beside all three is over.
    expect(take({ msPerLayer: 4 })).toBe(true);
    expect(step()).toBeCloseTo(stepMs(4), 0);
  });

  it('is told anew by a look at more blocks, slower or not, until answers came', () => {
    const { belief, pace, step, answer } = believing({ msPerLayer: 0.5 });
    const more = (msPerLayer: number, blocks: number) =>
      belief.take(look({ msPerLayer }, true, { blocks, hasRows: true }).found);
    expect(more(4, 6)).toBe(true);
    expect(step()).toBeCloseTo(stepMs(4), 0);
    expect((pace.ms(ALL, 17) - step()) / 16).toBeCloseTo(10 * 1, 1);
    answer(stepMs(2));
    expect(more(4, BLOCKS)).toBe(false);
    expect(step()).toBeCloseTo(stepMs(2), 0);
  });

  it('is the share by which the device changed where answers have told more', () => {
    const { step, take, answer } = believing({ msPerLayer: 1 });
    // Answers show that all of it is slower than the first layers make think.
    answer(20);
    take({ msPerLayer: 1 });
    expect(step()).toBeCloseTo(20, 0);
    for (let seen = 0; seen < 3; seen += 1) take({ msPerLayer: 3 });
    expect(step()).toBeCloseTo(60, 0);
    // It changed between an answer and the look behind it.
    answer(60);
    take({ msPerLayer: 0.5 });
    expect(step()).toBeCloseTo(10, 0);
  });

  it('learns from answers what a look was worth that they do not bear out', () => {
    const { step, take, answer } = believing({ msPerLayer: 1 });
    answer(stepMs(2));
    take({ msPerLayer: 1 });
    expect(step()).toBeCloseTo(stepMs(1), 0);
    // As slow as before: the first layers are unlike the others.
    answer(stepMs(2));
    for (let seen = 0; seen < 5; seen += 1) expect(take({ msPerLayer: 1 })).toBe(false);
    expect(step()).toBeCloseTo(stepMs(2), 0);
  });

  it('tells nothing of other blocks than it was made of', () => {
    const pace = new Pace(manifest);
    const belief = new DeviceBelief(pace);
    belief.take({ span: { from: 1, to: 3 }, stepMs: 4 });
    // Believed, and answers are twice as slow as the first blocks make think.
    belief.take({ span: { from: 1, to: 3 }, stepMs: 2 });
    for (let step = 0; step < 30; step += 1) pace.learn(ALL, 1, 40);
    expect(belief.take({ span: ALL, stepMs: 40 })).toBe(false);
    expect(pace.ms(ALL, 1)).toBeCloseTo(40, 0);
    expect(belief.take({ span: ALL, stepMs: 20 })).toBe(true);
    expect(pace.ms(ALL, 1)).toBeCloseTo(20, 0);
  });

  it('is not misled for good by work beside the answers, or beside the looks', () => {
    const { step, take, answer } = believing({ msPerLayer: 1 });
    answer(stepMs(1));
    take({ msPerLayer: 1 });
    // Another tab, while texts ran here: the first quiet look tells.
    answer(stepMs(2));
    take({ msPerLayer: 1 });
    expect(step()).toBeCloseTo(stepMs(1), 0);
    for (let beside = 0; beside < 8; beside += 1) {
      take({ msPerLayer: beside % 3 === 2 ? 1 : 2 });
      expect(step()).toBeCloseTo(stepMs(1), 0);
    }
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
