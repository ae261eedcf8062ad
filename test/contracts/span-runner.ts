/** What every span runner must do, whatever runs below it and wherever. */
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { TensorMap } from '../../src/core/tensor.ts';
import { IsthmusError } from '../../src/errors.ts';
import type { OpenedPackage } from '../../src/package/node/open-package.ts';
import { argmax } from '../../src/runtime/decode.ts';
import type { PackageSource, SpanRunner } from '../../src/runtime/runner.ts';
import { createExecutor } from '../../src/runtime/span-executor.ts';
import { importSpeech, onDisk } from '../endpoint/packages.ts';
import { features, reference } from '../endpoint/with-endpoint.ts';

/** Makes a runner on a package that reads its files from `source`. */
export type MakeRunner = (pkg: OpenedPackage, source: PackageSource) => SpanRunner;

const ONCE = { stage: 0, from: 0, to: 1 } as const;

/** The outputs of the first block, whatever the importer called them. */
function fetchesOf(pkg: OpenedPackage, cut: number): string[] {
  return pkg.manifest.cuts[cut]?.crossings.once?.sent.map(({ name }) => name) ?? [];
}

export function spanRunnerContract(name: string, make: MakeRunner): void {
  describe(`${name} as a span runner`, () => {
    let speech: OpenedPackage;
    let runner: SpanRunner;
    let source: PackageSource & { fail: number };

    beforeEach(async () => {
      speech ??= await onDisk(await importSpeech('speech', []));
      source = {
        fail: 0,
        read: async (path, options) => {
          if (source.fail > 0) {
            source.fail -= 1;
            throw new IsthmusError('bad-shard', 'torn', { details: { path } });
          }
          return speech.source.read(path, options);
        },
      };
      runner = make(speech, source);
      onTestFinished(() => runner.close());
    });

    const runOnce = (feeds: TensorMap = { features: features() }) =>
      runner.run({ segment: ONCE, phase: 'once', feeds, fetches: fetchesOf(speech, 1) });

    it('runs a loaded segment, in finite time, the same at each call', async () => {
      await runner.load(ONCE);
      const first = await runOnce();
      expect(Object.keys(first.outputs)).toEqual(fetchesOf(speech, 1));
      expect(Number.isFinite(first.ms) && first.ms >= 0).toBe(true);
      expect((await runOnce()).outputs).toEqual(first.outputs);
      expect(runner.threads).toBeGreaterThanOrEqual(1);
    });

    it('gives the same tensors for a stage in pieces as in one', async () => {
      const last = speech.manifest.stages[0]?.to ?? 0;
      const whole = { stage: 0, from: 0, to: last };
      const outputs = speech.manifest.stages.flatMap((stage) =>
        stage.kind === 'once' ? stage.outputs.map((output) => output.name) : [],
      );
      await runner.load(whole);
      const feeds = { features: features() };
      const one = await runner.run({ segment: whole, phase: 'once', feeds, fetches: outputs });
      let carried: TensorMap = feeds;
      for (let from = 0; from < last; from += 1) {
        const segment = { stage: 0, from, to: from + 1 };
        await runner.load(segment);
        const fetches = from + 1 === last ? outputs : fetchesOf(speech, from + 1);
        carried = (await runner.run({ segment, phase: 'once', feeds: carried, fetches })).outputs;
      }
      expect(carried).toEqual(one.outputs);
    });

    it('refuses a segment that is not loaded', async () => {
      await expect(runOnce()).rejects.toMatchObject({ code: 'run-failed' });
    });

    it('loads once however often it is asked, also at once', async () => {
      await Promise.all([runner.load(ONCE), runner.load(ONCE), runner.load(ONCE)]);
      await runner.load(ONCE);
      await runOnce();
    });

    it('forgets what is unloaded and can load it again', async () => {
      await runner.unload({ stage: 0, from: 1, to: 2 });
      await runner.load(ONCE);
      await runner.unload(ONCE);
      await expect(runOnce()).rejects.toMatchObject({ code: 'run-failed' });
      await runner.unload(ONCE);
      await runner.load(ONCE);
      await runOnce();
    });

    it('can try a load again that failed, and unload it without hearing of that', async () => {
      source.fail = 1;
      const loading = runner.load(ONCE);
      const unloading = runner.unload(ONCE);
      await expect(loading).rejects.toMatchObject({
        code: 'bad-shard',
        details: { path: expect.any(String) },
      });
      await unloading;
      await runner.load(ONCE);
      await runOnce();
    });

    it('gives up a load for who aborts it and for nobody else', async () => {
      const abort = new AbortController();
      const mine = runner.load(ONCE, { signal: abort.signal });
      const theirs = runner.load(ONCE);
      abort.abort();
      await expect(mine).rejects.toMatchObject({ code: 'aborted' });
      await theirs;
      await runOnce();
      await expect(runner.load(ONCE, { signal: AbortSignal.abort() })).rejects.toMatchObject({
        code: 'aborted',
      });
    });

    it('names what a run lacks or asks for in vain', async () => {
      await runner.load(ONCE);
      await expect(runOnce({})).rejects.toMatchObject({
        code: 'bad-tensor',
        details: { name: 'features' },
      });
      await expect(
        runner.run({ segment: ONCE, phase: 'once', feeds: { features: features() }, fetches: ['nowhere'] }),
      ).rejects.toMatchObject({ code: 'bad-tensor' });
      const flat = { ...features(4), dims: [4 * 8] };
      await expect(runOnce({ features: flat })).rejects.toMatchObject({ code: 'run-failed' });
      await runOnce();
    });

    it('leaves its feeds as they were', async () => {
      await runner.load(ONCE);
      const given = features();
      const copy = new Uint8Array(given.bytes);
      await runOnce({ features: given });
      expect(given.bytes).toEqual(copy);
    });

    it('keeps the states of requests apart', async () => {
      const span = { from: 0, to: speech.manifest.blocks.length };
      const executor = createExecutor(speech.manifest, span, runner);
      await executor.load();
      const inputs = [features(5, 4), features(5, 2)];
      const executions = inputs.map(() => executor.open());
      const told: number[][] = inputs.map(() => []);
      const outputs = await Promise.all(
        executions.map((execution, at) => execution.start({ once: { features: inputs[at] ?? features() } })),
      );
      for (let step = 0; step < 6; step += 1) {
        await Promise.all(
          executions.map(async (execution, at) => {
            const output = outputs[at];
            if (output?.kind !== 'logits') throw new Error('the whole model yields scores');
            const token = argmax(output.logits);
            told[at]?.push(token);
            outputs[at] = await execution.step([token]);
          }),
        );
      }
      for (const execution of executions) await execution.close();
      expect(told[0]).not.toEqual(told[1]);
      for (const [at, input] of inputs.entries()) expect(told[at]).toEqual(await reference(speech, input, 6));
    });

    it('knows no state that was not opened or has been closed', async () => {
      const stage = speech.manifest.stages.findIndex(({ kind }) => kind === 'loop');
      const { from = 0, to = 0 } = speech.manifest.stages[stage] ?? {};
      const segment = { stage, from, to };
      await runner.load(segment);
      const step = (state?: number) =>
        runner.run({
          segment,
          phase: 'step',
          feeds: {},
          fetches: [],
          ...(state === undefined ? {} : { state }),
        });
      await expect(step()).rejects.toMatchObject({ code: 'unknown-session' });
      await expect(step(99)).rejects.toMatchObject({ code: 'unknown-session' });
      const state = await runner.openState();
      expect(await runner.openState()).not.toBe(state);
      await runner.closeState(state);
      await runner.closeState(state);
      await expect(step(state)).rejects.toMatchObject({ code: 'unknown-session' });
    });

    it('ends what is under way when it is closed, and takes nothing more', async () => {
      await runner.load(ONCE);
      const under = [runOnce(), runner.load({ stage: 0, from: 1, to: 2 })];
      const settled = Promise.allSettled(under);
      await runner.close();
      for (const result of await settled) {
        expect(result).toMatchObject({ status: 'rejected', reason: { code: 'closed' } });
      }
      await runner.close();
      for (const call of [runOnce(), runner.load(ONCE), runner.openState()]) {
        await expect(call).rejects.toMatchObject({ name: 'IsthmusError', code: 'closed' });
      }
    });
  });
}
