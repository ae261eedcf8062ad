/** Language models in the forms that exporters write: what the importer finds, and that split = whole. */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { asFloat32, int64Tensor, type TensorMap } from '../../src/core/tensor.ts';
import type { OnnxModel } from '../../src/graph/onnx-types.ts';
import {
  type ImportedPackage,
  type ImportHints,
  importModel,
} from '../../src/package/import/import-model.ts';
import { stepFeed } from '../../src/package/import/step-feed.ts';
import type { FeedKind, LoopStage, Manifest, StateEntry } from '../../src/package/manifest.ts';
import { segmentsOf } from '../../src/package/segments.ts';
import { type Verdict, verifyCuts } from '../../src/package/verify.ts';
import { syntheticInputs } from '../../src/package/verify-inputs.ts';
import { createLane } from '../../src/runtime/create-lane.ts';
import { argmax } from '../../src/runtime/decode.ts';
import { createNodeRunner, nodeProber } from '../../src/runtime/node/ort-node.ts';
import { createExecutor } from '../../src/runtime/span-executor.ts';
import { anonymous, gqaForm, type PlainOptions, plainForm } from '../fixtures/llm-forms.ts';
import { FORM } from '../fixtures/llm-forms-sketch.ts';
import { combinedForm, hybridForm, KERNEL } from '../fixtures/llm-forms-state.ts';
import { node, value } from '../fixtures/onnx-build.ts';
import { tinyLlama } from '../fixtures/tiny-llama.ts';

const hash = async (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const importOne = (model: OnnxModel, hints?: ImportHints) =>
  importModel(
    [{ name: 'model', model, ...(hints && { hints }) }],
    { name: 'n' },
    { probe: nodeProber, hash },
  );

function runnerOf({ manifest, files }: ImportedPackage) {
  return createNodeRunner(manifest, {
    read: async (path: string) => {
      const bytes = files.get(path);
      if (bytes === undefined) throw new Error(`no file ${path}`);
      return bytes;
    },
  });
}

async function verify(made: ImportedPackage): Promise<Verdict> {
  const { manifest } = made;
  const runner = runnerOf(made);
  try {
    return await verifyCuts(manifest, syntheticInputs(manifest), {
      executor: (span) => createExecutor(manifest, span, runner),
      lane: () => createLane({ manifest, runner, loaded: () => runner.loaded() }),
      unload: async (span) => {
        for (const segment of segmentsOf(manifest, span)) await runner.unload(segment);
      },
      argmax,
    });
  } finally {
    await runner.close();
  }
}

function loopOf(manifest: Manifest): LoopStage {
  const [stage] = manifest.stages;
  if (stage?.kind !== 'loop') throw new Error('not a decoder');
  return stage;
}

/** What is fed, by the importer's own inputs too. */
const feedsOf = (manifest: Manifest): string[] =>
  loopOf(manifest)
    .feeds.map(({ input, kind }) => `${input}: ${kind}`)
    .sort();
const kindsOf = (manifest: Manifest): FeedKind[] =>
  loopOf(manifest)
    .feeds.map(({ kind }) => kind)
    .sort();

/** `[name, dims]` of what is sent at each cut. */
const sentOf = (manifest: Manifest) =>
  manifest.cuts.map(({ crossings }) => crossings.step?.sent.map(({ name, dims }) => [name, dims]) ?? []);

const PROMPT = [3, 17, 5, 40, 8, 21];

/** Scores of all rows of `PROMPT`, from the file as it is in one call and from the package in two. */
async function fileAndPackage(model: OnnxModel, made: ImportedPackage) {
  const stage = loopOf(made.manifest);
  const rows = PROMPT.length;
  const place = { past: 0, rows, picked: rows };
  const feeds: Record<string, TensorMap[string]> = {
    [stage.tokenInput.name]: int64Tensor(PROMPT, [1, rows]),
  };
  for (const feed of stage.feeds) {
    const isOfFile = model.graph.inputs.some(({ name }) => name === feed.input);
    if (isOfFile) feeds[feed.input] = stepFeed(feed, place);
  }
  for (const { input, dims } of stage.states) {
    const count = dims.reduce<number>((product, dim) => product * (dim ?? 0), 4);
    feeds[input] = { dtype: 'float32', dims: dims.map((dim) => dim ?? 0), bytes: new Uint8Array(count) };
  }
  const scores = (await nodeProber(model, feeds, [stage.logits]))[stage.logits];
  if (scores === undefined) throw new Error('the file gives no scores');
  const runner = runnerOf(made);
  const { manifest } = made;
  const span = { from: 0, to: manifest.blocks.length };
  await createExecutor(manifest, span, runner).load();
  const lane = createLane({ manifest, runner });
  const got: number[] = [];
  for (const [from, to] of [
    [0, 4],
    [4, rows],
  ] as const) {
    const input = { kind: 'tokens', tokens: PROMPT.slice(from, to) } as const;
    const want = { kind: 'scores', rows: to - from } as const;
    got.push(...((await lane.forward({ span, position: from, input, want })).scores ?? []));
  }
  await lane.close();
  await runner.close();
  return { file: [...asFloat32(scores)], package: got };
}

interface Form {
  readonly name: string;
  readonly make: () => OnnxModel;
  readonly feeds: readonly string[];
  readonly growth: StateEntry['growth'] | 'both';
  /** Layers in one block. */
  readonly period?: number;
}

const PAST = 'isthmus.past: past';
const POSITIONS = 'isthmus.positions: positions';

const FORMS: readonly Form[] = [
  {
    name: 'position ids, attention mask, Concat',
    make: () => plainForm(),
    feeds: ['attention_mask: mask', PAST, 'position_ids: positions'],
    growth: 'append',
  },
  {
    name: 'a number of positions before',
    make: () => plainForm({ positions: 'number', mask: 'none' }),
    feeds: [POSITIONS, 'start: past'],
    growth: 'append',
  },
  {
    name: 'positions from the shape of the state, a float mask, a count of rows to score',
    make: () => plainForm({ positions: 'state', mask: 'float32', scored: 'count' }),
    feeds: ['attention_mask: mask', PAST, POSITIONS, 'num_logits_to_keep: picked-count'],
    growth: 'append',
  },
  {
    name: 'rows to score by their indices',
    make: () => plainForm({ positions: 'state', mask: 'none', scored: 'rows' }),
    feeds: [PAST, POSITIONS, 'picked_rows: picked'],
    growth: 'append',
  },
  {
    name: 'GroupQueryAttention with lengths counted from a mask, residuals inside of norms',
    make: () => gqaForm(),
    feeds: ['attention_mask: mask'],
    growth: 'shared',
  },
  {
    name: 'GroupQueryAttention with lengths as inputs',
    make: () => gqaForm({ lengths: 'inputs', scored: 'count' }),
    feeds: ['num_logits_to_keep: picked-count', 'seqlens_k: last', 'total_sequence_length: total'],
    growth: 'shared',
  },
  {
    name: 'keys and values of a layer in one tensor, learned positions, a tied head',
    make: combinedForm,
    feeds: ['attention_mask: mask', PAST, 'position_ids: positions'],
    growth: 'append',
  },
  {
    name: 'short convolutions between attention',
    make: hybridForm,
    feeds: ['attention_mask: mask', POSITIONS],
    growth: 'both',
    period: 2,
  },
];

describe.each(FORMS)('$name', ({ make, feeds, growth, period = 1 }) => {
  it('is cut between its layers, where the residual crosses alone', async () => {
    const { manifest } = await importOne(make());
    expect(feedsOf(manifest)).toEqual(feeds);
    // The embedding, the layers, the head.
    expect(manifest.blocks.length).toBe(FORM.layers / period + 2);
    for (const sent of sentOf(manifest).slice(1, -1)) {
      expect(sent).toEqual([[expect.any(String), [1, null, FORM.hidden]]]);
    }
    for (const { crossings } of manifest.cuts.slice(1, -1)) {
      expect(crossings.step?.sent[0]?.bytes).toEqual({ base: 0, perUnit: 4 * FORM.hidden });
      expect(crossings.step?.recomputed).toEqual([]);
    }
    const grown = new Set(loopOf(manifest).states.map((state) => state.growth));
    expect(grown).toEqual(new Set(growth === 'both' ? ['append', 'replace'] : [growth]));
  });

  it('is the same at every cut, at once, one by one, after going back, and as the file', async () => {
    const model = make();
    const made = await importOne(model);
    const verdict = await verify(made);
    expect(verdict.cuts).toEqual(
      Array.from({ length: made.manifest.blocks.length + 1 }, (_, cut) => {
        return { cut, maxAbsDiff: 0, tokensEqual: true };
      }),
    );
    expect(verdict.loop?.prefill.tokensEqual).toBe(true);
    expect(verdict.loop?.prefill.maxAbsDiff).toBeLessThan(1e-5);
    expect(verdict.loop?.rewind === undefined).toBe(growth === 'both');
    expect(verdict.ok).toBe(true);
    const scores = await fileAndPackage(model, made);
    expect(scores.package.length).toBe(scores.file.length);
    scores.file.forEach((score, index) => {
      expect(Math.abs(score - (scores.package[index] ?? Number.NaN))).toBeLessThan(1e-4);
    });
  });

  it('means the same when no name says anything', async () => {
    const named = (await importOne(make())).manifest;
    const { manifest } = await importOne(anonymous(make()));
    expect(kindsOf(manifest)).toEqual(kindsOf(named));
    expect(sentOf(manifest)).toEqual(sentOf(named));
    const form = ({ dims, block, growth: how, axis }: StateEntry) => ({ dims, block, how, axis });
    expect(loopOf(manifest).states.map(form)).toEqual(loopOf(named).states.map(form));
  });
});

describe('state', () => {
  it('of keys and values in one tensor grows along its fourth axis', async () => {
    const { states } = loopOf((await importOne(combinedForm())).manifest);
    expect(states.length).toBe(FORM.layers);
    for (const state of states) {
      expect(state).toMatchObject({ dims: [2, 1, FORM.heads, null, FORM.headDim], axis: 3 });
    }
  });

  it('of convolutions has fixed extents and lies with its layer', async () => {
    const { states } = loopOf((await importOne(hybridForm())).manifest);
    expect(states.map(({ input, growth, block }) => [input, growth, block])).toEqual([
      ['past_conv.0', 'replace', 1],
      ['past_key_values.1.key', 'append', 1],
      ['past_key_values.1.value', 'append', 1],
      ['past_conv.2', 'replace', 2],
      ['past_key_values.3.key', 'append', 2],
      ['past_key_values.3.value', 'append', 2],
    ]);
    expect(states[0]?.dims).toEqual([1, FORM.hidden, KERNEL]);
  });

  it('is shared by nothing but its attention, or it is no buffer to write in', async () => {
    const form = gqaForm();
    const [first] = form.graph.inputs.filter(({ name }) => name.endsWith('0.key'));
    if (first === undefined) throw new Error('no state');
    const { graph } = form;
    const seen = node('ReduceSum', [first.name], ['seen']);
    const scores = node('Add', ['raw', 'seen'], ['logits']);
    const nodes = graph.nodes.map((one) => ({
      ...one,
      outputs: one.outputs.map((name) => (name === 'logits' ? 'raw' : name)),
    }));
    const form2 = { ...form, graph: { ...graph, nodes: [...nodes, seen, scores] } };
    // The scores now depend on how rows were run, so the meaning of the inputs is given.
    const feeds = [{ input: 'attention_mask', kind: 'mask', dtype: 'int64', rank: 2 }] as const;
    const { states } = loopOf((await importOne(form2, { feeds })).manifest);
    expect(states.filter(({ growth }) => growth === 'append').map(({ input }) => input)).toEqual([
      first.name,
    ]);
  });
});

describe('plain operators of any make', () => {
  const options: fc.Arbitrary<PlainOptions> = fc.record({
    positions: fc.constantFrom('input', 'number', 'state'),
    mask: fc.constantFrom('int64', 'float32', 'none'),
    scored: fc.constantFrom('count', 'rows', 'all'),
    layers: fc.integer({ min: 2, max: 5 }),
  });

  it('are cut between all layers and equal the whole', async () => {
    await fc.assert(
      fc.asyncProperty(options, fc.boolean(), async (option, hasNames) => {
        const form = plainForm(option);
        const made = await importOne(hasNames ? form : anonymous(form));
        expect(made.manifest.blocks.length).toBe((option.layers ?? 0) + 2);
        const verdict = await verify(made);
        expect(verdict.cuts.every(({ maxAbsDiff, tokensEqual }) => tokensEqual && maxAbsDiff === 0)).toBe(
          true,
        );
        expect(verdict.ok).toBe(true);
      }),
      { numRuns: 6 },
    );
  });
});

describe('a tied head', () => {
  it('reads the shard of the embedding, listed for both blocks', async () => {
    const { blocks } = (await importOne(combinedForm())).manifest;
    const [first, last] = [blocks[0]?.shards ?? [], blocks.at(-1)?.shards ?? []];
    expect(last.length).toBeGreaterThan(0);
    expect(last.every((shard) => first.includes(shard))).toBe(true);
    expect(blocks[1]?.shards.some((shard) => first.includes(shard))).toBe(false);
  });
});

describe('a builder that knows its graph', () => {
  it('need not be asked: hints give what is found without them', async () => {
    const { model, feeds, growth } = await tinyLlama('llama');
    const hinted = await importOne(model, { feeds, growth });
    const found = await importOne(model);
    expect(hinted.manifest).toEqual(found.manifest);
    expect(hinted.manifest.blocks.length).toBe(6);
    expect(sentOf(hinted.manifest).slice(2, -1)).toEqual(
      [0, 1, 2, 3].map((layer) => [[`blk.${layer}.residual`, [1, null, 64]]]),
    );
    expect((await verify(hinted)).ok).toBe(true);
  });

  it.each([
    ['an input that is not there', { input: 'nothing', kind: 'last', dtype: 'int32', rank: 1 }],
    ['another rank', { input: 'seqlens_k', kind: 'last', dtype: 'int32', rank: 2 }],
  ] as const)('is refused when a hint names %s', async (_, hint) => {
    const { model } = await tinyLlama('llama');
    await expect(importOne(model, { feeds: [hint] })).rejects.toMatchObject({ code: 'bad-option' });
  });
});

describe('scores', () => {
  it('of 16 bits are cast to 32', async () => {
    const { graph, ...rest } = plainForm();
    const cast = {
      ...node('Cast', ['logits'], ['half']),
      // 10: float16.
      attributes: [{ name: 'to', graphs: [], ints: [], int: 10n, rest: [Uint8Array.of(0xa0, 0x01, 2)] }],
    };
    const outputs = graph.outputs.map((output) =>
      output.name === 'logits' ? value('half', 'float16', output.dims ?? []) : output,
    );
    const made = await importOne({ ...rest, graph: { ...graph, nodes: [...graph.nodes, cast], outputs } });
    expect(loopOf(made.manifest).logits).toBe('half/float32');
    expect((await verify(made)).ok).toBe(true);
  });
});

describe('what is not supported', () => {
  const extra = (name: string, dims: readonly (number | string)[]): OnnxModel => {
    const { graph, ...rest } = plainForm();
    const seen = node('ReduceSum', [name], ['extra.sum']);
    const real = {
      ...node('Cast', ['extra.sum'], ['extra.real']),
      attributes: [{ name: 'to', graphs: [], ints: [], int: 1n, rest: [Uint8Array.of(0xa0, 0x01, 2)] }],
    };
    const nodes = graph.nodes.map((one) => ({
      ...one,
      outputs: one.outputs.map((output) => (output === 'logits' ? 'raw' : output)),
    }));
    const scores = node('Add', ['raw', 'extra.real'], ['logits']);
    const inputs = [...graph.inputs, value(name, 'int64', dims)];
    return { ...rest, graph: { ...graph, inputs, nodes: [...nodes, seen, real, scores] } };
  };

  it('an input of no known form: unsupported-model, by its name', async () => {
    await expect(importOne(extra('odd', ['batch', 1, 'rows', 'total']))).rejects.toMatchObject({
      code: 'unsupported-model',
      details: { input: 'odd' },
    });
  });

  it('a decoder whose rows see what comes later: unsupported-model', async () => {
    const { graph, ...rest } = plainForm();
    const nodes = graph.nodes.map((one) =>
      one.opType === 'LessOrEqual' ? { ...one, opType: 'GreaterOrEqual' } : one,
    );
    await expect(importOne({ ...rest, graph: { ...graph, nodes } })).rejects.toMatchObject({
      code: 'unsupported-model',
      message: expect.stringContaining('rows at once'),
    });
  });

  it('a state that is neither added to nor replaced: unsupported-model, by its name', async () => {
    const { graph, ...rest } = plainForm();
    const outputs = graph.outputs.map((output) =>
      output.name === 'present.3.value' ? { ...output, name: 'doubled' } : output,
    );
    const twice = {
      ...node('Concat', ['present.3.value', 'past_key_values.3.value'], ['doubled']),
      attributes: [{ name: 'axis', graphs: [], ints: [], int: 2n, rest: [Uint8Array.of(0xa0, 0x01, 2)] }],
    };
    const form = { ...rest, graph: { ...graph, nodes: [...graph.nodes, twice], outputs } };
    const hints: ImportHints = {
      feeds: [
        { input: 'attention_mask', kind: 'mask', dtype: 'int64', rank: 2 },
        { input: 'position_ids', kind: 'positions', dtype: 'int64', rank: 2 },
      ],
    };
    await expect(importOne(form, hints)).rejects.toMatchObject({
      code: 'unsupported-model',
      details: { input: 'past_key_values.3.value' },
    });
  });
});
