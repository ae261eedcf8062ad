/** That verification can fail: spans that are wrong in one way each. */
import { describe, expect, it } from 'vitest';
import type { Span } from '../../src/core/span.ts';
import { float32Tensor, int64Tensor, type TensorMap } from '../../src/core/tensor.ts';
import type { Manifest } from '../../src/package/manifest.ts';
import { MIN_STEPS, VERIFY_TOLERANCE, type VerifyTools, verifyCuts } from '../../src/package/verify.ts';
import { INCOMPARABLE, largestDifference } from '../../src/package/verify-difference.ts';
import { argmax } from '../../src/runtime/decode.ts';
import type { StepOutput } from '../../src/runtime/executor.ts';
import { decoderManifest } from '../fixtures/manifest.ts';

const VOCABULARY = 5;
const manifest: Manifest = {
  ...decoderManifest({ decoderBlocks: 3 }),
  generation: { bosToken: 0, eosTokens: [2], maxTokens: 50 },
};
const LAST = manifest.blocks.length;

type Fault = (logits: Float32Array, step: number, from: number) => void;

/** A model that counts upwards, split anywhere; `fault` spoils what a far span yields. */
function tools(fault: Fault = () => undefined) {
  const loaded = new Set<string>();
  const most = { spans: 0, blocks: 0 };
  const open: boolean[] = [];
  const key = (span: Span) => `${span.from}-${span.to}`;
  const made: VerifyTools = {
    argmax,
    unload: async (span) => void loaded.delete(key(span)),
    executor: (span) => ({
      manifest,
      span,
      load: async () => {
        loaded.add(key(span));
        most.spans = Math.max(most.spans, loaded.size);
      },
      open: () => {
        let step = 0;
        const handle = open.push(true) - 1;
        const at = (token: number): StepOutput => {
          if (!loaded.has(key(span))) throw new Error('not loaded');
          if (span.to < LAST) {
            return { kind: 'crossing', tensors: { step: { hidden: int64Tensor([token], [1]) } } };
          }
          const logits = new Float32Array(VOCABULARY).fill(0.1);
          logits[(token + 1) % VOCABULARY] = 1;
          fault(logits, step, span.from);
          step += 1;
          return { kind: 'logits', logits, vocabulary: VOCABULARY };
        };
        const tokenOf = (crossed: TensorMap): number => crossed.hidden?.bytes[0] ?? -1;
        return {
          segmentMs: {},
          start: async (feeds) => at(span.from === 0 ? 0 : tokenOf(feeds.step ?? {})),
          step: async (input) => at(Array.isArray(input) ? (input[0] ?? -1) : tokenOf(input as TensorMap)),
          close: async () => {
            open[handle] = false;
          },
        };
      },
    }),
  };
  return { made, loaded, most, open };
}

const input = { name: 'count', feeds: {}, maxTokens: 12 };

describe('verification', () => {
  it('passes when every cut gives the same, and leaves nothing loaded or open', async () => {
    const { made, loaded, most, open } = tools();
    const verdict = await verifyCuts(manifest, [input, { ...input, name: 'again' }], made);
    expect(verdict).toEqual({
      model: manifest.name,
      cuts: [0, 1, 2, 3].map((cut) => ({ cut, maxAbsDiff: 0, tokensEqual: true })),
      ok: true,
    });
    expect(loaded.size).toBe(0);
    expect(most.spans).toBe(2);
    expect(open.length).toBeGreaterThan(0);
    expect(open).not.toContain(true);
  });

  it('goes on after the end token until enough steps were compared', async () => {
    let steps = 0;
    const { made } = tools((_, step, from) => {
      if (from === 2) steps = step + 1;
    });
    // The end token, 2, is the second that this model writes.
    await verifyCuts(manifest, [input], made, [2]);
    expect(steps).toBeGreaterThanOrEqual(MIN_STEPS);
    expect(steps).toBeLessThanOrEqual(input.maxTokens);
  });

  it.each<[string, Fault, { maxAbsDiff: number; tokensEqual: boolean }]>([
    [
      'a value at the last step',
      (logits, step, from) => {
        if (from === 2 && step === 11) logits[0] = 0.125;
      },
      { maxAbsDiff: 0.125 - Math.fround(0.1), tokensEqual: true },
    ],
    [
      'a token by less than the tolerance',
      (logits, step, from) => {
        if (step === 3) logits.fill(1).fill(from === 2 ? 1 + VERIFY_TOLERANCE / 10 : 1, 4);
      },
      { maxAbsDiff: Math.fround(1 + VERIFY_TOLERANCE / 10) - 1, tokensEqual: false },
    ],
    [
      'a value that is no number',
      (logits, _, from) => {
        if (from === 2) logits[3] = Number.NaN;
      },
      { maxAbsDiff: INCOMPARABLE, tokensEqual: true },
    ],
  ])('fails for the cut with %s, and for no other', async (_, fault, expected) => {
    const { made } = tools(fault);
    const forced = { ...input, forced: Array.from({ length: 12 }, () => 0) };
    const verdict = await verifyCuts(manifest, [forced], made);
    expect(verdict.ok).toBe(false);
    expect(verdict.cuts[2]).toEqual({ cut: 2, ...expected });
    for (const cut of [0, 1, 3]) {
      expect(verdict.cuts[cut]).toEqual({ cut, maxAbsDiff: 0, tokensEqual: true });
    }
  });

  it('frees what it loaded when a span fails', async () => {
    const { made, loaded, open } = tools((_, step, from) => {
      if (from === 1 && step === 2) throw new Error('the runtime failed');
    });
    await expect(verifyCuts(manifest, [input], made)).rejects.toThrow('the runtime failed');
    expect(loaded.size).toBe(0);
    expect(open).not.toContain(true);
  });

  it('refuses cuts that are not there, and nothing to do', async () => {
    const { made } = tools();
    for (const cuts of [[LAST + 1], [-1], [0.5], []]) {
      await expect(verifyCuts(manifest, [input], made, cuts)).rejects.toMatchObject({ code: 'bad-option' });
    }
    await expect(verifyCuts(manifest, [], made)).rejects.toMatchObject({ code: 'bad-option' });
  });

  it('stops between steps when it is aborted', async () => {
    const controller = new AbortController();
    const { made, loaded } = tools((_, step, from) => {
      if (from === 1 && step === 1) controller.abort();
    });
    const verifying = verifyCuts(manifest, [input], { ...made, signal: controller.signal });
    await expect(verifying).rejects.toMatchObject({ code: 'aborted' });
    expect(loaded.size).toBe(0);
  });
});

describe('the difference of two sets of tensors', () => {
  const floats = (...values: number[]) => float32Tensor(Float32Array.from(values), [values.length]);

  it.each<[TensorMap, TensorMap, { floats: number; others: number }]>([
    [{ a: floats(1, 2) }, { a: floats(1, 4) }, { floats: 2, others: 0 }],
    [{ a: floats(-Infinity, NaN) }, { a: floats(-Infinity, NaN) }, { floats: 0, others: 0 }],
    [{ a: floats(Infinity) }, { a: floats(-Infinity) }, { floats: INCOMPARABLE, others: 0 }],
    [{ a: int64Tensor([1], [1]) }, { a: int64Tensor([2], [1]) }, { floats: 0, others: INCOMPARABLE }],
    [{ a: floats(1) }, { b: floats(1) }, { floats: INCOMPARABLE, others: INCOMPARABLE }],
    [{ a: floats(1) }, { a: floats(1, 2) }, { floats: INCOMPARABLE, others: INCOMPARABLE }],
    [{ a: floats(1) }, { a: int64Tensor([1], [1]) }, { floats: INCOMPARABLE, others: INCOMPARABLE }],
    [{ a: floats(1) }, {}, { floats: INCOMPARABLE, others: INCOMPARABLE }],
  ])('case %#', (expected, got, difference) => {
    expect(largestDifference(expected, got)).toEqual(difference);
    expect(largestDifference(got, expected)).toEqual(difference);
  });
});
