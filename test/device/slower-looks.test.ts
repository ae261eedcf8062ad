import { describe, expect, it } from 'vitest';
import { fitProfile } from '../../src/device/fit.ts';
import { unpaced } from '../../src/device/paced-side.ts';
import { believedOf, SLOWER_IN_A_ROW, SlowerLooks } from '../../src/device/slower-looks.ts';
import { llmManifest } from '../fixtures/llm-manifest.ts';

describe('looks that found a device slower', () => {
  it('are believed when so many in a row were, by the least of them', () => {
    const slower = new SlowerLooks<string>();
    expect(slower.take(3, 'a')).toBeUndefined();
    expect(slower.take(2, 'b')).toBeUndefined();
    expect(slower.take(4, 'c')).toEqual({ factor: 2, found: 'b' });
    // And begin anew.
    expect(slower.take(4, 'd')).toBeUndefined();
    slower.clear();
    for (let look = 1; look < SLOWER_IN_A_ROW; look += 1) expect(slower.take(2, 'e')).toBeUndefined();
    expect(slower.take(5, 'f')).toEqual({ factor: 2, found: 'e' });
  });

  it('teach a side nothing until then, and faster ones at once', () => {
    const manifest = llmManifest(4);
    const segment = { stage: 0, from: 0, to: 4 };
    const of = (ms: number) => ({ segment, phase: 'step' as const, units: 1, ms });
    const side = unpaced(fitProfile(manifest, 'wasm', [of(10)]));
    const slower = new SlowerLooks<readonly (ReturnType<typeof of> & { runs: number })[]>();
    const looked = (ms: number) => believedOf(slower, side, [{ ...of(ms), runs: 2 }])?.[0]?.ms;
    expect(looked(10)).toBe(10);
    expect(looked(5)).toBe(5);
    expect(looked(20)).toBeUndefined();
    expect(looked(25)).toBeUndefined();
    expect(looked(10.5)).toBe(10.5);
    expect(looked(20)).toBeUndefined();
    expect(looked(25)).toBeUndefined();
    expect(looked(30)).toBe(20);
  });
});
