/** What is not here is looked up in one call, and what was found here once is not looked up again. */
import { expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import type { DeviceRunner } from '../../src/runtime/runner.ts';
import { DeviceSide } from '../../src/session/device-side.ts';
import { tinyText } from '../fixtures/tiny-text.ts';
import { sampleManifest } from '../package/sample-manifest.ts';

it('asks once for all files, and then for those alone that were not here', async () => {
  const { manifest } = await tinyText();
  const asked: (readonly string[])[] = [];
  const here = new Set<string>();
  const runner = {
    missingBytes: async (paths: readonly string[]) => {
      asked.push(paths);
      return paths.map((path) => (here.has(path) ? 0 : (manifest.files[path]?.bytes ?? 0)));
    },
  } as unknown as DeviceRunner;
  const device = new DeviceSide(manifest, runner, { clock: systemClock, start: async () => runner });
  const blocks = manifest.blocks.length;
  const files = device.files(blocks);
  await device.refreshMissing();
  expect(asked).toEqual([files]);
  expect(device.missingBytes(blocks)).toBe(
    files.reduce((sum, path) => sum + (manifest.files[path]?.bytes ?? 0), 0),
  );

  for (const path of files.slice(1)) here.add(path);
  expect(await device.has(files.slice(1))).toBe(true);
  expect(await device.has(files)).toBe(false);
  await device.refreshMissing();
  expect(asked.slice(2)).toEqual([files.slice(0, 1), files.slice(0, 1)]);
  expect(device.missingBytes(blocks)).toBe(manifest.files[files[0] ?? '']?.bytes);

  here.add(files[0] ?? '');
  await device.refreshMissing();
  await device.refreshMissing();
  expect(await device.has(files)).toBe(true);
  expect(asked).toHaveLength(5);
});

it('knows of each cut what all of its files lack, over two stages and with a shard in common', async () => {
  const sample = sampleManifest();
  const [first] = sample.blocks;
  const blocks = sample.blocks.map((block, index) =>
    index === sample.blocks.length - 1
      ? { ...block, shards: [...block.shards, ...(first?.shards ?? [])] }
      : block,
  );
  const manifest = { ...sample, blocks };
  const runner = {
    missingBytes: async (paths: readonly string[]) => paths.map((path) => manifest.files[path]?.bytes ?? 0),
  } as unknown as DeviceRunner;
  const device = new DeviceSide(manifest, runner, { clock: systemClock, start: async () => runner });
  await device.refreshMissing();
  let before = 0;
  for (let cut = 1; cut <= blocks.length; cut += 1) {
    const missing = device.missingBytes(cut);
    expect(missing).toBe(device.missingOf(device.files(cut)));
    expect(missing).toBeGreaterThan(before);
    before = missing;
  }
});
