import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isWithin, type Segment, type Span } from '../../../src/core/span.ts';
import { IsthmusError } from '../../../src/errors.ts';
import { coverSegment } from '../../../src/runtime/lane-cover.ts';
import type { DeviceRunner } from '../../../src/runtime/runner.ts';
import { GROUP_BYTES, lackingGroups, sparedGroups } from '../../../src/session/text/block-groups.ts';
import { DeviceBlocks } from '../../../src/session/text/device-blocks.ts';
import { textManifest } from './fake-places.ts';

const BLOCKS = 12;
const third = ({ from, to }: Span): number => ((to - from) * GROUP_BYTES) / 3;

const spans = fc
  .tuple(fc.nat(BLOCKS - 1), fc.nat(BLOCKS - 1))
  .map(([a, b]): Span => ({ from: Math.min(a, b), to: Math.max(a, b) + 1 }));

describe('blocks that are built together', () => {
  it('are as many as the bound lets, and one where one is beyond it', () => {
    expect(lackingGroups({ from: 0, to: 8 }, [], third)).toEqual([
      { from: 0, to: 3 },
      { from: 3, to: 6 },
      { from: 6, to: 8 },
    ]);
    expect(lackingGroups({ from: 0, to: 2 }, [], () => 2 * GROUP_BYTES)).toEqual([
      { from: 0, to: 1 },
      { from: 1, to: 2 },
    ]);
  });

  it('are built one by one where a group reaches over the edge', () => {
    const groups = [
      { from: 0, to: 3 },
      { from: 3, to: 6 },
    ];
    expect(lackingGroups({ from: 0, to: 5 }, groups, third)).toEqual([
      { from: 3, to: 4 },
      { from: 4, to: 5 },
    ]);
    expect(lackingGroups({ from: 1, to: 9 }, groups, third)).toEqual([
      { from: 1, to: 2 },
      { from: 2, to: 3 },
      { from: 6, to: 9 },
    ]);
  });

  it('tile every span that was asked for, whatever was asked before, and are nested or apart', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(spans, fc.boolean()), { maxLength: 20 }), (asked) => {
        let groups: Span[] = [];
        for (const [span, tidies] of asked) {
          groups.push(...lackingGroups(span, groups, third));
          const loaded = groups.map((group) => ({ stage: 0, ...group }));
          expect(coverSegment({ stage: 0, ...span }, loaded).length).toBeGreaterThan(0);
          for (const one of groups) {
            for (const other of groups.filter((group) => group !== one)) {
              const apart = one.to <= other.from || other.to <= one.from;
              expect(apart || isWithin(one, other) !== isWithin(other, one)).toBe(true);
            }
          }
          if (!tidies) continue;
          const spared = sparedGroups(groups);
          groups = groups.filter((group) => !spared.includes(group));
          const kept = groups.map((group) => ({ stage: 0, ...group }));
          expect(coverSegment({ stage: 0, ...span }, kept).length).toBeGreaterThan(0);
        }
      }),
    );
  });
});

describe('blocks on a runner', () => {
  const runnerOf = (onLoad: (segment: Segment) => Promise<void> = async () => undefined) => {
    const calls: string[] = [];
    const name = ({ from, to }: Segment): string => `${from}-${to}`;
    const runner = {
      load: async (segment: Segment) => {
        calls.push(`load ${name(segment)}`);
        await onLoad(segment);
      },
      unload: async (segment: Segment) => {
        calls.push(`unload ${name(segment)}`);
      },
    } as unknown as DeviceRunner;
    return { calls, runner };
  };
  const blocks = (): DeviceBlocks =>
    new DeviceBlocks(textManifest(BLOCKS), { now: () => 0, epoch: () => 0 }, () => 0);

  it('are built once, for however many ask', async () => {
    const { calls, runner } = runnerOf();
    const built = blocks();
    const whole = { from: 0, to: BLOCKS };
    await Promise.all([built.load(runner, whole), built.load(runner, whole)]);
    await built.load(runner, whole);
    expect(calls).toEqual([`load 0-${BLOCKS}`]);
    expect(built.buildMs(whole)).toBe(0);
  });

  it('are let go of when all of a group have sessions of their own, and not before', async () => {
    const { calls, runner } = runnerOf();
    const built = blocks();
    await built.load(runner, { from: 0, to: 3 });
    await built.load(runner, { from: 0, to: 2 });
    await built.tidy();
    expect(calls).toEqual(['load 0-3', 'load 0-1', 'load 1-2']);
    await built.load(runner, { from: 2, to: 3 });
    await built.tidy();
    expect(calls.slice(3)).toEqual(['load 2-3', 'unload 0-3']);
    await built.load(runner, { from: 0, to: 3 });
    expect(calls).toHaveLength(5);
  });

  it('need not be let go of in a worker that is gone', async () => {
    const { runner } = runnerOf();
    const lost = async (): Promise<void> => {
      throw new IsthmusError('worker-lost', 'it crashed');
    };
    const built = blocks();
    const dead = { ...runner, unload: lost };
    await built.load(dead, { from: 0, to: 2 });
    await built.load(dead, { from: 0, to: 1 });
    await built.load(dead, { from: 1, to: 2 });
    await expect(built.tidy()).resolves.toBeUndefined();
  });

  it('count what they share once, missing or to be built', async () => {
    const shared = { ...textManifest(2), files: {} as Record<string, { bytes: number; sha256: string }> };
    const blockList = shared.blocks.map((block) => ({ ...block, shards: [...block.shards, 'rope.bin'] }));
    for (const file of ['0.bin', '1.bin', 'rope.bin']) shared.files[file] = { bytes: 10, sha256: '' };
    const built = new DeviceBlocks(
      { ...shared, blocks: blockList },
      { now: () => 0, epoch: () => 0 },
      (files) => files.reduce((sum, file) => sum + (file === 'step.onnx' ? 0 : 10), 0),
    );
    const whole = { from: 0, to: 2 };
    expect(built.buildMs(whole)).toBeCloseTo(1.5 * built.buildMs({ from: 0, to: 1 }));
    expect(built.missingBytes(whole)).toBe(30);
    expect(built.missingBytes({ from: 1, to: 2 })).toBe(20);
  });

  it('are built anew after a build that failed, and on another runner', async () => {
    let fails = true;
    const { calls, runner } = runnerOf(async () => {
      if (fails) throw new Error('no room');
    });
    const built = blocks();
    const whole = { from: 0, to: BLOCKS };
    await expect(built.load(runner, whole)).rejects.toThrow('no room');
    fails = false;
    await built.load(runner, whole);
    expect(calls).toHaveLength(2);
    const other = runnerOf();
    await built.load(other.runner, whole);
    expect(other.calls).toHaveLength(1);
  });
});
