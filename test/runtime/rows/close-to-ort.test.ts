/** Our kernels against onnxruntime's native ones, block by block: both are fed the same, so no error adds up. */
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { asFloat32, type Tensor, type TensorMap } from '../../../src/core/tensor.ts';
import { createNodeRunner } from '../../../src/runtime/node/ort-node.ts';
import { LlamaReference } from '../../fixtures/llama-reference.ts';
import {
  chainOf,
  loadChain,
  openRows,
  runChain,
  type TinyRowsPackage,
  tinyRowsPackage,
} from '../../fixtures/rows.ts';
import type { TinyFamily } from '../../fixtures/tiny-llama.ts';
import { prompt } from '../loop-package.ts';

/**
 * Of a row's largest element. Both round the same sums of whole numbers, and differ in the order of float32 sums
 * and in `exp`, a few units of 6e-8 each. Where that moves an activation over the edge between two of its 255
 * steps, a product differs by one step of one element.
 */
const USUAL = 2e-6;
const ONE_STEP = 2e-2;
/** Rows in which some activation may lie so near to an edge. */
const MOST_ON_EDGES = 0.02;

function rowsOf(tensor: Tensor): Float32Array[] {
  const width = tensor.dims.at(-1) ?? 1;
  const all = asFloat32(tensor);
  return Array.from({ length: all.length / width }, (_, row) => all.subarray(row * width, (row + 1) * width));
}

function errorOf(made: Float32Array, wanted: Float32Array): number {
  const size = wanted.reduce((top, value) => Math.max(top, Math.abs(value)), 0);
  return (
    made.reduce((top, value, at) => Math.max(top, Math.abs(value - (wanted[at] ?? Number.NaN))), 0) / size
  );
}

describe.each(['llama', 'qwen2'] as const)('%s', (family: TinyFamily) => {
  let pkg: TinyRowsPackage;
  let tokens: number[];

  beforeAll(async () => {
    pkg = await tinyRowsPackage(family);
    tokens = prompt(100, pkg.built.config.vocabulary);
  });

  it("makes of each block's input what onnxruntime makes of it", async () => {
    const { runner } = await openRows(pkg);
    const ort = createNodeRunner(pkg.manifest, pkg.source);
    onTestFinished(() => ort.close());
    const blocks = pkg.manifest.blocks.length;
    const chain = chainOf(Array.from({ length: blocks + 1 }, (_, edge) => edge));
    for (const each of [runner, ort]) await loadChain(each, chain);
    const [state, other] = [await runner.openState(), await ort.openState()];
    let carried: TensorMap = {};
    const errors: number[] = [];
    for (const segment of chain) {
      const run = { chain: [segment], position: 0, tokens };
      const made = await runChain(runner, pkg, { ...run, state, carried });
      const wanted = await runChain(ort, pkg, { ...run, state: other, carried });
      expect(Object.keys(made)).toEqual(Object.keys(wanted));
      for (const [name, tensor] of Object.entries(wanted)) {
        expect(made[name]).toMatchObject({ dtype: tensor.dtype, dims: tensor.dims });
        if (segment.from === 0)
          expect(Buffer.compare(made[name]?.bytes ?? Buffer.of(), tensor.bytes)).toBe(0);
        else {
          const theirs = rowsOf(tensor);
          for (const [row, own] of rowsOf(made[name] as Tensor).entries()) {
            errors.push(errorOf(own, theirs[row] ?? own));
          }
        }
      }
      carried = wanted;
    }
    expect(errors.length).toBe(100 * (blocks - 1));
    expect(Math.max(...errors)).toBeLessThan(ONE_STEP);
    expect(errors.filter((error) => error > USUAL).length).toBeLessThan(errors.length * MOST_ON_EDGES);
  });

  it('scores a text like the weights in float32, but for the rounding to 8 bits', async () => {
    const { runner } = await openRows(pkg);
    const chain = chainOf([0, pkg.manifest.blocks.length]);
    await loadChain(runner, chain);
    const state = await runner.openState();
    const { logits } = await runChain(runner, pkg, { chain, state, position: 0, tokens });
    const reference = await LlamaReference.load(pkg.built.config, pkg.built.read);
    const wanted = reference.forward(tokens, tokens.length);
    const { vocabulary } = pkg.built.config;
    const alike = rowsOf(logits as Tensor).map((row, at) =>
      correlation(row, wanted.subarray(at * vocabulary, (at + 1) * vocabulary)),
    );
    // Another row, head or position gives about 0.
    expect(Math.min(...alike)).toBeGreaterThan(0.9);
    expect(alike.reduce((a, b) => a + b) / alike.length).toBeGreaterThan(0.99);
  });
});

function correlation(a: Float32Array, b: Float32Array): number {
  const mean = (list: Float32Array): number => list.reduce((x, y) => x + y, 0) / list.length;
  const [middleA, middleB] = [mean(a), mean(b)];
  let [product, squaresA, squaresB] = [0, 0, 0];
  for (const [at, value] of a.entries()) {
    const [x, y] = [value - middleA, (b[at] ?? 0) - middleB];
    product += x * y;
    squaresA += x * x;
    squaresB += y * y;
  }
  return product / Math.sqrt(squaresA * squaresB);
}
