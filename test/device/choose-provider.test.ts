import { describe, expect, it } from 'vitest';
import { chooseProvider } from '../../src/device/choose-provider.ts';
import { priorSide, scaleSide } from '../../src/device/prior.ts';
import { wholeMs } from '../../src/device/span-ms.ts';
import { isIsthmusError } from '../../src/errors.ts';
import type { ExecutionProvider } from '../../src/runtime/runner.ts';
import { speechManifest } from '../fixtures/manifest.ts';

const manifest = speechManifest();
const workload = { units: 64_000, tokens: 20 };
const measured = (provider: ExecutionProvider, factor: number) => ({
  provider,
  side: scaleSide(priorSide(manifest, provider), factor, { provider, confidence: 0.5 }),
});

describe('chooseProvider', () => {
  it('takes the faster one, in whatever order they come, and says by how much', () => {
    const [slow, fast] = [measured('webgpu', 40), measured('wasm', 1)];
    for (const candidates of [
      [slow, fast],
      [fast, slow],
    ]) {
      const { provider, side, reason } = chooseProvider(candidates, manifest, workload);
      expect(provider).toBe('wasm');
      expect(side).toBe(fast.side);
      expect(reason).toContain('40.0x faster than webgpu');
      expect(reason).toContain(`${Math.round(wholeMs(fast.side, manifest, workload))} ms`);
    }
  });

  it('says when there was nothing to choose from, and what failed', () => {
    expect(chooseProvider([measured('wasm', 1)], manifest, workload).reason).toContain('only provider');
    const failed = { provider: 'webgpu', failure: 'device lost' } as const;
    const { provider, reason } = chooseProvider([failed, measured('wasm', 1)], manifest, workload);
    expect(provider).toBe('wasm');
    expect(reason).toContain('webgpu failed: device lost');
  });

  it('fails with no-provider when none could be measured', () => {
    let thrown: unknown;
    try {
      chooseProvider([{ provider: 'webgpu', failure: 'no adapter' }], manifest, workload);
    } catch (error) {
      thrown = error;
    }
    expect(isIsthmusError(thrown) && thrown.code).toBe('no-provider');
    expect(isIsthmusError(thrown) && thrown.details.failures).toEqual(['webgpu failed: no adapter']);
  });
});
