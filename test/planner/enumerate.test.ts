import { describe, expect, it } from 'vitest';
import { isIsthmusError } from '../../src/errors.ts';
import type { Manifest } from '../../src/package/manifest.ts';
import { enumeratePlans, leavingTensors, type PlanOptions } from '../../src/planner/enumerate.ts';
import { encoderManifest, speechManifest } from '../fixtures/manifest.ts';

const manifest = speechManifest();
const ids = (options: Partial<PlanOptions> = {}, of: Manifest = manifest) =>
  enumeratePlans(of, {
    choice: 'auto',
    codecs: ['fp32', 'fp16', 'int8'],
    hasEndpoint: true,
    ...options,
  }).map(({ id }) => id);

function codeOf(run: () => unknown): string | undefined {
  try {
    run();
  } catch (error) {
    return isIsthmusError(error) ? error.code : String(error);
  }
  return undefined;
}

describe('enumeratePlans', () => {
  it('lists local, remote and every cut under every codec, each once', () => {
    const all = ids();
    expect(all[0]).toBe('local');
    expect(all[1]).toBe('remote');
    expect(all).toHaveLength(2 + 13 * 3);
    expect(new Set(all).size).toBe(all.length);
    for (let cut = 1; cut < 14; cut += 1) {
      for (const codec of ['fp32', 'fp16', 'int8']) expect(all).toContain(`split@${cut}/${codec}`);
    }
  });

  it('names codecs of raw input only where the manifest allows any', () => {
    const lossyInput: Manifest = {
      ...manifest,
      cuts: manifest.cuts.map((cut) => ({
        ...cut,
        crossings: Object.fromEntries(
          Object.entries(cut.crossings).map(([phase, crossing]) => [
            phase,
            { ...crossing, sent: crossing.sent.map((tensor) => ({ ...tensor, lossy: true })) },
          ]),
        ),
      })),
    };
    // A recording is one long row, which `int8` cannot write with one scale.
    expect(ids({}, lossyInput).slice(0, 4)).toEqual(['local', 'remote', 'remote/fp16', 'split@1/fp32']);
    expect(() => ids({ choice: { cut: 0, codec: 'int8' } }, lossyInput)).toThrow('cannot be written as int8');
  });

  it('keeps to the codecs that are allowed, but sends as it is what none may touch', () => {
    expect(ids({ codecs: ['fp16'] })).toEqual([
      'local',
      'remote',
      ...Array.from({ length: 13 }, (_, index) => `split@${index + 1}/fp16`),
    ]);
  });

  it('has only local without an endpoint', () => {
    expect(ids({ hasEndpoint: false })).toEqual(['local']);
    expect(ids({ hasEndpoint: false, choice: 'local' })).toEqual(['local']);
    expect(ids({ hasEndpoint: false, choice: 'remote' })).toEqual([]);
    expect(ids({ hasEndpoint: false, choice: { cut: 3 } })).toEqual([]);
  });

  it('honours a forced plan', () => {
    expect(ids({ choice: 'local' })).toEqual(['local']);
    expect(ids({ choice: 'remote' })).toEqual(['remote']);
    expect(ids({ choice: { cut: 0 } })).toEqual(['remote']);
    expect(ids({ choice: { cut: 14 } })).toEqual(['local']);
    expect(ids({ choice: { cut: 7 }, codecs: ['fp16', 'fp32'] })).toEqual(['split@7/fp32', 'split@7/fp16']);
    expect(ids({ choice: { cut: 7, codec: 'int8' }, codecs: ['fp32'] })).toEqual(['split@7/int8']);
  });

  it('works for models without a loop', () => {
    expect(ids({ codecs: ['fp32'] }, encoderManifest({ encoderBlocks: 3 }))).toEqual([
      'local',
      'remote',
      'split@1/fp32',
      'split@2/fp32',
    ]);
  });

  it('refuses cuts that the model does not have, and no codecs at all', () => {
    for (const cut of [-1, 15, 1.5, Number.NaN]) {
      expect(codeOf(() => ids({ choice: { cut } }))).toBe('bad-option');
    }
    expect(codeOf(() => ids({ codecs: [] }))).toBe('bad-option');
  });

  it('refuses a manifest that does not describe a cut', () => {
    expect(codeOf(() => ids({ choice: { cut: 3 } }, { ...manifest, cuts: manifest.cuts.toReversed() }))).toBe(
      'bad-package',
    );
  });
});

describe('leavingTensors', () => {
  it('names what crosses, each once', () => {
    expect(leavingTensors(manifest, 0)).toEqual(['audio']);
    expect(leavingTensors(manifest, 7)).toEqual(['encoder.7']);
    expect(leavingTensors(manifest, 9)).toEqual(['context', 'decoder.9']);
    expect(leavingTensors(manifest, 14)).toEqual([]);
  });
});
