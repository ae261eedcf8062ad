/** Programs of spans cut anywhere: what crosses has the shape that the graph says, or the span is refused. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { DType } from '../../../src/core/tensor.ts';
import { composeSegment, type TypedName } from '../../../src/graph/compose.ts';
import { toModelGraph } from '../../../src/graph/model-graph.ts';
import type { OnnxModel } from '../../../src/graph/onnx-types.ts';
import type { LoopStage } from '../../../src/package/manifest.ts';
import { compileRows } from '../../../src/runtime/rows/compile.ts';
import type { Operation, Program } from '../../../src/runtime/rows/program.ts';
import { type Alter, added, both, constant, input, one } from '../../fixtures/altered-graph.ts';
import { handCutPackage, stageOf } from '../../fixtures/rows.ts';

let model: OnnxModel;
let stage: LoopStage;

beforeAll(async () => {
  // As wide everywhere, so that products can read each other's rows; an odd vocabulary.
  const pkg = await handCutPackage('llama', { layers: 2, ffn: 64, vocabulary: 163 });
  model = pkg.built.model;
  stage = stageOf(pkg);
});

const named = (name: string, dims: readonly (number | null)[], dtype: DType = 'float32'): TypedName => {
  return { name, dtype, dims };
};
const rows = (name: string, width = 64): TypedName => named(name, [1, null, width]);

function span(given: readonly TypedName[], targets: readonly TypedName[], alter: Alter = (same) => same) {
  return compileRows(composeSegment(toModelGraph(alter(model)), given, targets).model, stage);
}

function programOf(made: ReturnType<typeof compileRows>): Program {
  if ('refused' in made) throw new Error(made.refused);
  return made;
}

const kinds = (operations: readonly Operation[]): string[] => operations.map(({ kind }) => kind);

describe('a span', () => {
  it('of the embedding looks up, and yields codes or rows', () => {
    const codes = [named('embed.turned', [1, null, 64], 'int8'), named('embed.scale', [1, null, 1])];
    const near = programOf(span([], codes));
    expect(kinds(near.body)).toEqual(['takeCodes', 'takeScales']);
    expect(near).toMatchObject({ tokens: 'input_ids', vocabulary: 163, layers: [], head: [] });
    expect(near.outputs.get('embed.turned')).toMatchObject({ width: 64, dtype: 'int8', picked: false });
    const far = programOf(span(codes, [rows('embed.residual')]));
    expect(kinds(far.body)).toEqual(['decode']);
    expect(far.tokens).toBeUndefined();
    expect(kinds(programOf(span([], [rows('embed.residual')])).body)).toEqual(['embed']);
  });

  it('of a layer is a dozen operations, and rounds each row once', () => {
    const { body, head, layers, positions } = programOf(
      span([rows('embed.residual')], [rows('blk.0.residual')]),
    );
    expect(kinds(body)).toEqual([
      ...['norm', 'quantise', 'product', 'rotate', 'attend', 'quantise', 'product', 'add', 'norm'],
      ...['quantise', 'product', 'gated', 'mix', 'quantise', 'product', 'add'],
    ]);
    expect(head).toEqual([]);
    expect(positions).toBe(257);
    expect(layers).toEqual([
      {
        ...{ pastKey: 'past_key_values.0.key', pastValue: 'past_key_values.0.value' },
        ...{ kvHeads: 2, headDim: 16, group: 2 },
      },
    ]);
  });

  it('of the head works on the rows that are picked alone', () => {
    const { body, head, outputs, picked } = programOf(span([rows('blk.1.residual')], [rows('logits', 163)]));
    expect(body).toEqual([]);
    expect(head[0]?.kind).toBe('pick');
    expect(picked).toBe('picked_rows');
    expect(outputs.get('logits')).toMatchObject({ width: 163, picked: true });
  });

  it('hands on rows that cross both its cuts', () => {
    const crossing = [rows('blk.0.attn_output.out'), rows('embed.residual')];
    const { inputs } = programOf(span(crossing, [rows('blk.0.residual')]));
    expect([...inputs.keys()].sort()).toEqual(['blk.0.attn_output.out', 'embed.residual']);
  });
});

/** What a span yields under a name, or that it is refused. */
function yielded(made: ReturnType<typeof compileRows>, name: string): string {
  if ('refused' in made) return 'refused';
  const { width, dtype } = made.outputs.get(name) ?? {};
  return `${dtype}[1, rows, ${width}]`;
}

describe('a cut in an unusual place', () => {
  it('behind the cast of an embedding yields float32 or is refused', () => {
    const made = span([], [rows('embed.values'), named('embed.scale', [1, null, 1])]);
    expect(['refused', 'float32[1, rows, 64]']).toContain(yielded(made, 'embed.values'));
  });

  it('before scales get their axis is refused: they have two', () => {
    const made = span([], [named('embed.turned', [1, null, 64], 'int8'), named('embed.scales', [1, null])]);
    expect(yielded(made, 'embed.scales')).toBe('refused');
  });

  it('between groups of rows is refused: there are more of them than rows', () => {
    const made = span(
      [rows('embed.residual')],
      [rows('blk.0.gated.groups', 32), rows('blk.0.attn_residual')],
    );
    expect(yielded(made, 'blk.0.gated.groups')).toBe('refused');
  });

  it('that yields what attention turns in its place is refused', () => {
    const made = span([rows('embed.residual')], [rows('blk.0.attn_qkv.out', 128), rows('blk.0.residual')]);
    expect(yielded(made, 'blk.0.attn_qkv.out')).toBe('refused');
  });

  it('of no operator is refused, not run', () => {
    const padded = named('blk.0.attn_qkv.padded', [1, null, 128]);
    expect(span([rows('embed.residual')], [padded])).toHaveProperty('refused');
    expect(span([rows('embed.residual')], [rows('blk.0.attn_qkv.in.abs')])).toHaveProperty('refused');
  });
});

describe('a product', () => {
  const chain = 'blk.0.ffn_down';
  const source = 'blk.0.ffn_normed';

  /** The last product of a layer reads the same rows as the one before it. */
  const sharing = (...more: readonly Alter[]): Alter =>
    both(input(`${chain}.in.abs`, 0, source), input(`${chain}.in.scaled`, 0, source), ...more);
  const rounded = (alter: Alter): number => {
    const wanted = [rows('blk.0.residual'), rows('blk.0.ffn_gate_up.out')];
    const made = span([rows('embed.residual')], wanted, alter);
    return 'refused' in made ? Infinity : kinds(made.body).filter((kind) => kind === 'quantise').length;
  };

  it('of rows that were rounded already does not round them again', () => {
    expect(rounded(sharing())).toBe(3);
  });

  it('of rows that were rounded in other steps rounds them again, or is refused', () => {
    const steps = [input(`${chain}.in.u8`, 1, one(0.01)), input(`${chain}.out.sums`, 2, one(0.01))];
    expect(rounded(sharing(...steps))).toBeGreaterThan(3);
  });

  it('of rows that were rounded by another least size rounds them again, or is refused', () => {
    expect(rounded(sharing(input(`${chain}.in.largest`, 1, one(0.5))))).toBeGreaterThan(3);
  });

  it('of an odd width is read by no operation on rows: they work in fours', () => {
    const bias = constant(new Float32Array(163));
    const biased = both(
      added('logits', 'blk.0.residual', { opType: 'Add', inputs: ['logits', 'bias'], output: 'biased' }),
      input('biased', 1, bias),
    );
    expect(span([], [rows('biased', 163)], biased)).toHaveProperty('refused');
  });
});
