/** That verification by lanes can fail: lanes that are wrong in one way each. */
import { describe, expect, it } from 'vitest';
import type { Span } from '../../src/core/span.ts';
import { int64Tensor } from '../../src/core/tensor.ts';
import type { Manifest, StateEntry } from '../../src/package/manifest.ts';
import { type VerifyInput, type VerifyTools, verifyCuts, WAYS_TOLERANCE } from '../../src/package/verify.ts';
import { argmax } from '../../src/runtime/decode.ts';
import type { ForwardRequest, Lane } from '../../src/runtime/lane.ts';
import { decoderManifest } from '../fixtures/manifest.ts';

const VOCABULARY = 7;

/** A token that this model never writes. */
const NEVER = 6;

const made = decoderManifest({ decoderBlocks: 3 });
const [first, second] = made.stages;
const loop = second?.kind === 'loop' ? second : first?.kind === 'loop' ? first : undefined;
if (loop === undefined) throw new Error('no loop');
const STATE: StateEntry = {
  input: 'past',
  output: 'present',
  origin: 'step',
  dtype: 'float32',
  dims: [1, null, 4],
  block: 0,
  growth: 'append',
  axis: 1,
};

function textManifest(state: StateEntry = STATE): Manifest {
  if (loop === undefined) throw new Error('no loop');
  const blocks = [0, 1, 2].map((index) => ({ index, stage: 0, shards: [], weightBytes: 0, nodes: 1 }));
  return {
    ...made,
    stages: [{ ...loop, from: 0, to: 3, graphs: { step: 's' }, context: [], states: [state], feeds: [] }],
    blocks,
    cuts: [0, 1, 2, 3].map((cut) => ({ cut, crossings: {} })),
    generation: { eosTokens: [NEVER], maxTokens: 50 },
    text: { contextLength: 40, specialTokens: {}, addBos: false },
  };
}

/** What a run is: where its rows stand, how many there are, and whether the lane held more before. */
interface Run {
  readonly request: ForwardRequest;
  readonly rows: number;
  readonly wentBack: boolean;
  /** Row of the run. */
  readonly row: number;
}

type Fault = (scores: Float32Array, run: Run) => void;

/** The token after each row is that row's position, up to the vocabulary; split anywhere. */
function tools(fault: Fault = () => undefined) {
  const loaded = new Set<string>();
  const open = new Set<number>();
  const positions: number[] = [];
  const key = (span: Span) => `${span.from}-${span.to}`;
  let lanes = 0;
  const lane = (): Lane => {
    const id = lanes++;
    open.add(id);
    let held = 0;
    const refuse = (): never => {
      throw new Error('not asked for in verification');
    };
    return {
      forward: async (request) => {
        const { span, position, input, want } = request;
        if (!loaded.has(key(span)) || !open.has(id)) throw new Error(`${key(span)} is not loaded`);
        const rows = input.kind === 'tokens' ? input.tokens.length : input.rows;
        if (want.kind === 'crossing') {
          return { tokens: [], tensors: { hidden: int64Tensor([position], [1]) }, ms: 1 };
        }
        const wentBack = position < held;
        held = position + rows;
        positions.push(position + rows);
        const scores = new Float32Array(rows * VOCABULARY).fill(0.25);
        for (let row = 0; row < rows; row += 1) {
          const own = scores.subarray(row * VOCABULARY, (row + 1) * VOCABULARY);
          own[(position + row) % (VOCABULARY - 1)] = 1;
          fault(own, { request, rows, wentBack, row });
        }
        return { tokens: [], tensors: {}, scores, ms: 1 };
      },
      loop: async () => refuse(),
      filled: () => held,
      readState: async () => refuse(),
      writeState: async () => refuse(),
      close: async () => {
        open.delete(id);
      },
    };
  };
  const verify: VerifyTools = {
    argmax,
    lane,
    unload: async (span) => void loaded.delete(key(span)),
    executor: (span) => ({
      manifest: textManifest(),
      span,
      load: async () => void loaded.add(key(span)),
      open: () => {
        throw new Error('a lane was to be used');
      },
    }),
  };
  return { verify, loaded, open, positions };
}

const input: VerifyInput = { name: 'some', feeds: {}, forced: [1, 2, 3, 4, 5, 6], maxTokens: 12 };
const SAME = { maxAbsDiff: 0, tokensEqual: true };

describe('verification by lanes', () => {
  it('passes when every way gives the same, and leaves nothing loaded or open', async () => {
    const { verify, loaded, open } = tools();
    const verdict = await verifyCuts(textManifest(), [input], verify);
    expect(verdict).toEqual({
      model: made.name,
      cuts: [0, 1, 2, 3].map((cut) => ({ cut, ...SAME })),
      loop: { prefill: SAME, rewind: SAME },
      ok: true,
    });
    expect(loaded.size).toBe(0);
    expect(open.size).toBe(0);
  });

  it('says nothing of going back where state cannot', async () => {
    const { axis: _axis, ...fixed } = STATE;
    const { verify } = tools((_, run) => {
      if (run.wentBack) throw new Error('state that is replaced cannot go back');
    });
    const verdict = await verifyCuts(textManifest({ ...fixed, growth: 'replace' }), [input], verify);
    expect(verdict.loop).toEqual({ prefill: SAME });
    expect(verdict.ok).toBe(true);
  });

  it.each<[string, Fault]>([
    [
      'rows at once',
      (scores, { request, rows }) => {
        if (request.span.from === 2 && rows === 6) scores[NEVER] = 0.5;
      },
    ],
    [
      'row by row',
      (scores, { request, rows }) => {
        if (request.span.from === 2 && rows === 1 && request.position === 2) scores[NEVER] = 0.5;
      },
    ],
    [
      'steps behind a prompt',
      (scores, { request }) => {
        if (request.span.from === 2 && request.position === 9) scores[NEVER] = 0.5;
      },
    ],
    [
      'going back',
      (scores, { request, wentBack }) => {
        if (request.span.from === 2 && wentBack) scores[NEVER] = 0.5;
      },
    ],
  ])('fails for the cut that is wrong in %s alone', async (_, fault) => {
    const { verify } = tools(fault);
    const verdict = await verifyCuts(textManifest(), [input], verify);
    expect(verdict.ok).toBe(false);
    expect(verdict.cuts.map(({ maxAbsDiff }) => maxAbsDiff)).toEqual([0, 0, 0.25, 0]);
    expect(verdict.loop).toEqual({ prefill: SAME, rewind: SAME });
  });

  it.each<[string, 'prefill' | 'rewind', Fault]>([
    [
      'rows at once',
      'prefill',
      (scores, { rows, row }) => {
        if (rows === 6 && row === 1) scores.fill(2, NEVER);
      },
    ],
    [
      'going back',
      'rewind',
      (scores, { wentBack }) => {
        if (wentBack) scores[NEVER] = 0.25 + 2 * WAYS_TOLERANCE;
      },
    ],
  ])('fails when the whole model itself differs in %s', async (_, way, fault) => {
    const { verify } = tools(fault);
    const verdict = await verifyCuts(textManifest(), [input], verify);
    expect(verdict.cuts.every(({ maxAbsDiff }) => maxAbsDiff === 0)).toBe(true);
    expect(verdict.loop?.[way]).not.toEqual(SAME);
    expect(verdict.ok).toBe(false);
  });

  it('stays within the context', async () => {
    const { verify, positions } = tools();
    await verifyCuts(textManifest(), [{ ...input, maxTokens: 500 }], verify, [1]);
    expect(Math.max(...positions)).toBe(40);
  });

  it('frees what it loaded when a run fails', async () => {
    const { verify, loaded, open } = tools((_, { request }) => {
      if (request.span.from === 1 && request.position === 7) throw new Error('the runtime failed');
    });
    await expect(verifyCuts(textManifest(), [input], verify)).rejects.toThrow('the runtime failed');
    expect(loaded.size).toBe(0);
    expect(open.size).toBe(0);
  });
});
