import { describe, expect, it } from 'vitest';
import { Pace } from '../../../src/session/text/pace.ts';
import { llmManifest } from '../../fixtures/llm-manifest.ts';

const BLOCKS = 12;
const ALL = { from: 0, to: BLOCKS };

describe('the pace of a place', () => {
  it('knows that a table of embeddings is read a row at a time', () => {
    const pace = new Pace(llmManifest(BLOCKS));
    // Its first blocks are what a device is measured on: two layers of ten, and a head as large as five.
    pace.learn({ from: 0, to: 3 }, 1, 2);
    expect(pace.ms(ALL, 1)).toBeGreaterThan(14);
    expect(pace.ms(ALL, 1)).toBeLessThan(16);
    expect(pace.ms({ from: 0, to: 1 }, 1)).toBeLessThan(0.01);
  });

  it('learns nothing of the whole from a call that hardly runs any of it', () => {
    const pace = new Pace(llmManifest(BLOCKS));
    pace.learn(ALL, 1, 50);
    pace.learn(ALL, 100, 500);
    const [step, prompt] = [pace.ms(ALL, 1), pace.ms(ALL, 100)];
    // A cut behind the look-up of rows: half a ms of calling.
    for (let trip = 0; trip < 50; trip += 1) pace.learn({ from: 0, to: 1 }, 1 + (trip % 4), 0.5);
    expect(pace.ms(ALL, 1)).toBe(step);
    expect(pace.ms(ALL, 100)).toBe(prompt);
  });

  it('takes what every call costs for no cost of its rows', () => {
    const pace = new Pace(llmManifest(BLOCKS));
    // Each call waits 200 ms for its turn; a step takes 10 and a row behind it 2.
    for (let turn = 0; turn < 10; turn += 1) {
      for (let step = 0; step < 20; step += 1) pace.learn(ALL, 1, 210);
      pace.learn(ALL, 16, 210 + 15 * 2);
    }
    expect(pace.ms(ALL, 1000)).toBeGreaterThan(1900);
    expect(pace.ms(ALL, 1000)).toBeLessThan(2500);
  });

  it('is not moved by one pause, and follows what lasts', () => {
    const pace = new Pace(llmManifest(BLOCKS));
    for (let step = 0; step < 20; step += 1) pace.learn(ALL, 1, 10);
    pace.learn(ALL, 1, 80);
    expect(pace.ms(ALL, 1)).toBeCloseTo(10);
    for (let step = 0; step < 20; step += 1) pace.learn(ALL, 1, 30);
    expect(pace.ms(ALL, 1)).toBeGreaterThan(28);
  });

  it('knows what few rows take apart from many', () => {
    const pace = new Pace(llmManifest(BLOCKS));
    for (let time = 0; time < 30; time += 1) {
      pace.learn(ALL, 1, 10);
      pace.learn(ALL, 64, 10 + 63 * 2);
    }
    expect(pace.ms(ALL, 5)).toBeCloseTo(18, 0);
    // Those of guesses are scored, each of them.
    for (let time = 0; time < 30; time += 1) pace.learn(ALL, 5, 10 + 4 * 6);
    expect(pace.ms(ALL, 5)).toBeCloseTo(34, 0);
    expect(pace.ms(ALL, 3)).toBeCloseTo(22, 0);
    expect(pace.ms(ALL, 64) - pace.ms(ALL, 32)).toBeCloseTo(64, 0);
    for (let time = 0; time < 30; time += 1) pace.learn(ALL, 64, 10 + 63 * 2);
    expect(pace.ms(ALL, 64)).toBeCloseTo(136, 0);
    expect(pace.ms(ALL, 5)).toBeCloseTo(34, 0);
  });

  it('does not put all that a pass was off by down to its one row more than few', () => {
    const pace = new Pace(llmManifest(BLOCKS));
    pace.learn(ALL, 1, 16);
    pace.learn(ALL, 48, 126);
    const prompt = pace.ms(ALL, 48);
    // Their rows are scored, each of them: 8 ms more.
    for (const rows of [3, 9, 9]) pace.learn(ALL, rows, 16 + (rows - 1) * 10.3);
    expect(pace.ms(ALL, 48) / prompt).toBeGreaterThan(0.9);
    expect(pace.ms(ALL, 48) / prompt).toBeLessThan(1.7);
  });

  it('is not moved by one prompt that met a pause', () => {
    const pace = new Pace(llmManifest(BLOCKS));
    pace.learn(ALL, 1, 100);
    pace.learn(ALL, 48, 570);
    pace.learn(ALL, 22, 5 * 310);
    expect(pace.ms(ALL, 48)).toBeCloseTo(570);
  });

  it('knows by the first prompt behind it that rows have become as much faster as steps have, or have not', () => {
    const after = (rowMs: number) => {
      const pace = new Pace(llmManifest(BLOCKS));
      for (let prompt = 0; prompt < 5; prompt += 1) {
        for (let step = 0; step < 30; step += 1) pace.learn(ALL, 1, 24);
        pace.learn(ALL, 100, 24 + 99 * 6);
      }
      for (let step = 0; step < 60; step += 1) pace.learn(ALL, 1, 4);
      pace.learn(ALL, 100, 4 + 99 * rowMs);
      return (pace.ms(ALL, 101) - pace.ms(ALL, 1)) / 100;
    };
    expect(after(1)).toBeCloseTo(1, 1);
    expect(after(6)).toBeCloseTo(6, 1);
  });

  it('stays a number where a coarse clock shows calls as nothing', () => {
    const pace = new Pace(llmManifest(BLOCKS));
    for (const rows of [1, 20, 3, 1, 100]) pace.learn(ALL, rows, 0);
    expect(pace.ms(ALL, 50)).toBeGreaterThanOrEqual(0);
    for (let turn = 0; turn < 4; turn += 1) {
      for (const rows of [1, 1, 20, 3]) pace.learn(ALL, rows, 10 + 2 * rows);
    }
    expect(pace.ms(ALL, 50)).toBeGreaterThan(40);
    expect(pace.ms(ALL, 50)).toBeLessThan(160);
  });

  it('never says less for more rows', () => {
    const pace = new Pace(llmManifest(BLOCKS));
    pace.learn(ALL, 64, 5);
    pace.learn(ALL, 1, 50);
    for (let rows = 1; rows < 40; rows += 1) {
      expect(pace.ms(ALL, rows + 1)).toBeGreaterThan(pace.ms(ALL, rows));
    }
  });

  it('takes what a piece takes beside another place for both together, and not for the place alone', () => {
    const pace = new Pace(llmManifest(BLOCKS));
    const half = { from: 0, to: BLOCKS / 2 };
    pace.learn(ALL, 1, 10);
    pace.learn(ALL, 101, 510);
    const alone = pace.ms(half, 64);
    for (let piece = 0; piece < 8; piece += 1) pace.learn(half, 64, 1.5 * alone, true);
    expect(pace.ms(half, 64)).toBe(alone);
    expect(pace.besideMs(half, 64)).toBeCloseTo(1.5 * alone, 0);
    // A step of a cut waits for the other place's.
    expect(pace.besideMs(half, 1)).toBe(pace.ms(half, 1));
    // What is faster beside another is at least as fast alone.
    for (let piece = 0; piece < 20; piece += 1) pace.learn(half, 64, 0.5 * alone, true);
    expect(pace.ms(half, 64)).toBeLessThan(0.6 * alone);
    expect(pace.besideMs(half, 64)).toBeLessThan(0.7 * alone);
  });

  it('knows that rows of a prompt do not run the head', () => {
    const pace = new Pace(llmManifest(BLOCKS));
    // Ten layers alike, and a head as large as five: a step is 15 of them, a row of a prompt 10.
    const [front, back] = [
      { from: 0, to: 6 },
      { from: 6, to: BLOCKS },
    ];
    pace.learn(ALL, 1, 15);
    pace.learn(ALL, 101, 15 + 100 * 5);
    for (let piece = 0; piece < 10; piece += 1) {
      pace.learn(front, 101, 5 + 100 * 2.5);
      pace.learn(back, 101, 10 + 100 * 2.5);
    }
    expect(pace.ms(ALL, 101)).toBeGreaterThan(500);
    expect(pace.ms(ALL, 101)).toBeLessThan(530);
  });

  it('learns a first prompt from its pieces', () => {
    const pace = new Pace(llmManifest(BLOCKS));
    pace.learn(ALL, 1, 10);
    for (let piece = 0; piece < 4; piece += 1) pace.learn(ALL, 64, 325, true);
    expect(pace.ms(ALL, 64)).toBeGreaterThan(280);
  });
});
