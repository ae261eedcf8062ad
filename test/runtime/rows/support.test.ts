/** Which packages the kernels run, told before anything is loaded; and what runs the others. */
import { describe, expect, it, onTestFinished } from 'vitest';
import { GREEDY } from '../../../src/core/sampling.ts';
import type { Manifest } from '../../../src/package/manifest.ts';
import { createLane } from '../../../src/runtime/create-lane.ts';
import { createPackageRunner } from '../../../src/runtime/node/package-runner.ts';
import { rowsSupport } from '../../../src/runtime/rows/rows-support.ts';
import type { PackageSource } from '../../../src/runtime/runner.ts';
import { importOnce, importSpeech, onDisk } from '../../endpoint/packages.ts';
import {
  chainOf,
  handCutPackage,
  openRows,
  type RowsPackage,
  runChain,
  scoresOf,
  stageOf,
  tinyRowsPackage,
} from '../../fixtures/rows.ts';
import { llamaPackage, PLAIN, plainPackage, prompt } from '../loop-package.ts';

async function refusal({ manifest, source }: RowsPackage): Promise<string> {
  const support = await rowsSupport(manifest, source);
  return 'refused' in support ? support.refused : 'supported';
}

describe('support', () => {
  it('is for both families of text models', async () => {
    for (const family of ['llama', 'qwen2'] as const) {
      const pkg = await tinyRowsPackage(family);
      const support = await rowsSupport(pkg.manifest, pkg.source);
      expect(support).toMatchObject({ positions: 256, stage: stageOf(pkg) });
      expect(support).toHaveProperty('layers.length', 4);
    }
  });

  it('reads the graph and no weights', async () => {
    const { manifest, source } = await tinyRowsPackage();
    const read: string[] = [];
    const watched: PackageSource = {
      read: (path, options) => {
        read.push(path);
        return source.read(path, options);
      },
    };
    await rowsSupport(manifest, watched);
    expect(read).toEqual([stageOf({ manifest, source }).graphs.step]);
  });

  it('is not for speech, nor for models without a loop, and does not read their graphs', async () => {
    const speech = await onDisk(await importSpeech('speech', []));
    const once = await onDisk(await importOnce());
    const source: PackageSource = { read: async () => expect.unreachable() };
    expect(await refusal({ manifest: speech.manifest, source })).toMatch('no text model');
    expect(await refusal({ manifest: once.manifest, source })).toMatch('no text model');
  });

  it('is not for state that is copied, nor for other operators', async () => {
    expect(await refusal(plainPackage())).toMatch(/^the state 'past\.\d\.seen' /);
    const pkg = await handCutPackage();
    const stage = stageOf(pkg);
    const other = {
      ...stage,
      states: stage.states.map((state) => ({ ...state, growth: 'append' as const })),
    };
    expect(await refusal({ ...pkg, manifest: { ...pkg.manifest, stages: [other] } })).toMatch('another kind');
  });

  it('ends where the rotary tables end, whatever the manifest says', async () => {
    const pkg = await handCutPackage('llama', { contextLength: 64 });
    const { text, ...rest } = pkg.manifest;
    const manifest = { ...rest, text: { ...text, contextLength: 1000 } } as Manifest;
    expect(await rowsSupport(manifest, pkg.source)).toMatchObject({ positions: 65 });
    const { runner } = await openRows({ manifest, source: pkg.source });
    const [all] = chainOf([0, manifest.blocks.length]) as [ReturnType<typeof chainOf>[0] & object];
    await runner.load(all);
    await scoresOf(runner, pkg, [all], prompt(65, 160));
    await expect(scoresOf(runner, pkg, [all], prompt(66, 160))).rejects.toMatchObject({
      code: 'input-too-long',
    });
  });

  it('fails as reading the graph fails', async () => {
    const { manifest } = await handCutPackage();
    const source: PackageSource = { read: async () => Uint8Array.of(1, 2, 3) };
    await expect(rowsSupport(manifest, source)).rejects.toMatchObject({ code: 'bad-model' });
  });
});

describe('the runner of a package', () => {
  it('is the kernels where they can run it: the same bits', async () => {
    const pkg = await handCutPackage();
    const all = chainOf([0, pkg.manifest.blocks.length]);
    const { runner } = await openRows(pkg);
    const chosen = createPackageRunner(pkg.manifest, pkg.source);
    onTestFinished(() => chosen.close());
    for (const each of [runner, chosen]) for (const segment of all) await each.load(segment);
    expect(chosen.loaded()).toEqual(all);
    const tokens = prompt(50, 160);
    const made = await scoresOf(chosen, pkg, all, tokens);
    expect(Buffer.compare(made, await scoresOf(runner, pkg, all, tokens))).toBe(0);
  });

  it('is another runtime where they cannot', async () => {
    const { manifest, source } = plainPackage();
    const runner = createPackageRunner(manifest, source);
    onTestFinished(() => runner.close());
    await runner.load({ stage: 0, from: 0, to: manifest.blocks.length });
    const lane = createLane({ manifest, runner, loaded: () => runner.loaded() });
    const request = { position: 0, tokens: prompt(8, PLAIN.vocabulary), sampling: GREEDY };
    const more = { answer: [], endTokens: [], maxTokens: 4 };
    const { tokens } = await lane.loop({ ...request, ...more }, { onPass: () => undefined });
    expect(tokens).toHaveLength(4);
  });

  it('chooses again when reading the graph failed', async () => {
    const { manifest, source } = await llamaPackage();
    let failing = true;
    const runner = createPackageRunner(manifest, {
      read: async (path, options) => {
        if (failing) throw new Error('torn');
        return source.read(path, options);
      },
    });
    onTestFinished(() => runner.close());
    await expect(runner.openState()).rejects.toThrow('torn');
    failing = false;
    await runner.closeState(await runner.openState());
  });

  it('does nothing more once it is closed, also while it was choosing', async () => {
    const pkg = await handCutPackage();
    const runner = createPackageRunner(pkg.manifest, pkg.source);
    const loading = runner.load({ stage: 0, from: 0, to: 1 });
    await Promise.all([runner.close(), expect(loading).rejects.toMatchObject({ code: 'closed' })]);
    await runner.close();
    await expect(runner.openState()).rejects.toMatchObject({ code: 'closed' });
    const run = runChain(runner, pkg, { chain: chainOf([0, 1]), state: 1, position: 0, tokens: [1] });
    await expect(run).rejects.toMatchObject({ code: 'closed' });
  });
});
