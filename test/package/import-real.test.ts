/** Real models: every cut equals the whole, and the whole equals the original files. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { importOnnx } from '../../src/node/import-onnx.ts';
import { verifyPackage } from '../../src/node/verify-package.ts';
import { type OpenedPackage, openPackage } from '../../src/package/node/open-package.ts';
import { audioInput } from '../../src/package/verify-inputs.ts';
import { argmax } from '../../src/runtime/decode.ts';
import { createNodeRunner } from '../../src/runtime/node/ort-node.ts';
import { createExecutor } from '../../src/runtime/span-executor.ts';
import { type FetchedModel, fetchModel, type ModelName } from '../fixtures/models.ts';
import { RECORDINGS } from '../fixtures/recordings.ts';

/** `ISTHMUS_ALL=1` runs every recording on every cut. */
const runAll = process.env.ISTHMUS_ALL === '1';

const present = RECORDINGS.filter((recording) => recording.missing === undefined);
const SOME = /^(cards-\d+|goforward|austen-08[89]0)$/;

/** Steps where the package is run beside the original files: past any short-lived agreement. */
const STEPS = 24;

interface Case {
  readonly name: ModelName;
  readonly recordings: RegExp;
  /**
   * Largest difference of a score between the package and the original files. 32-bit weights: the same
   * operators. 8-bit: onnxruntime's own product of a dequantised weight sums in another order.
   */
  readonly tolerance: number;
}

const CASES: readonly Case[] = [
  { name: 'moonshine-tiny-q8', recordings: SOME, tolerance: 1e-3 },
  { name: 'moonshine-tiny-fp32', recordings: /^austen-0880$/, tolerance: 0 },
];

describe.each(CASES)('$name', ({ name, recordings, tolerance }) => {
  let model: FetchedModel;
  let opened: OpenedPackage;
  let dir: string;

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'isthmus-real-'));
    model = await fetchModel(name, { log: console.info });
    const { bosToken, eosToken } = model.generation;
    const out = join(dir, 'package');
    await importOnnx([model.encoder, model.decoder], {
      out,
      name,
      generation: { bosToken, eosTokens: [eosToken], maxTokens: 194 },
      audio: model.audio,
    });
    opened = await openPackage(out);
  });

  afterAll(async () => {
    await rm(dir, { recursive: true, force: true });
  });

  const chosen = present.filter((recording) => runAll || recordings.test(recording.name));

  it.skipIf(chosen.length === 0)('is the same at every cut', { timeout: 600_000 }, async () => {
    const inputs = chosen.map((recording) =>
      audioInput(opened.manifest, recording.name, recording.samples()),
    );
    const started = performance.now();
    const verdict = await verifyPackage(opened, { inputs });
    const seconds = Math.round((performance.now() - started) / 1000);
    console.info(`${name}: ${verdict.cuts.length} cuts, ${inputs.length} recordings, ${seconds} s`);
    const { blocks } = opened.manifest;
    // An encoder and a decoder of some layers each: one block a layer at least.
    expect(blocks.length).toBeGreaterThanOrEqual(12);
    expect(verdict.cuts).toEqual(
      Array.from({ length: blocks.length + 1 }, (_, cut) => ({ cut, maxAbsDiff: 0, tokensEqual: true })),
    );
    expect(verdict.ok).toBe(true);
  });

  it.skipIf(chosen.length === 0)('is the same as the files that it was imported from', async () => {
    const [recording] = chosen;
    const samples = recording?.samples() ?? new Float32Array(0);
    const original = await runOriginal(model, samples, STEPS);
    const runner = createNodeRunner(opened.manifest, opened.source);
    const whole = createExecutor(opened.manifest, { from: 0, to: opened.manifest.blocks.length }, runner);
    await whole.load();
    const execution = whole.open();
    let output = await execution.start({
      once: audioInput(opened.manifest, 'recording', samples).feeds,
    });
    let largest = 0;
    for (const [index, { logits, token }] of original.entries()) {
      if (output.kind !== 'logits') throw new Error(`no scores but ${output.kind}`);
      const scores = output.logits;
      expect(scores.length).toBe(logits.length);
      logits.forEach((value, at) => {
        largest = Math.max(largest, Math.abs(value - (scores[at] ?? Number.NaN)));
      });
      expect(argmax(scores)).toBe(token);
      if (index + 1 < original.length) output = await execution.step([token]);
    }
    await runner.close();
    console.info(`${name}: ${largest} from the original over ${original.length} steps`);
    expect(original.length).toBeGreaterThan(4);
    expect(largest).toBeLessThanOrEqual(tolerance);
  });
});

interface OriginalStep {
  readonly logits: Float32Array;
  readonly token: number;
}

/** The two ONNX files as any program runs them: first pass without, then with state. */
async function runOriginal(
  model: FetchedModel,
  samples: Float32Array,
  steps: number,
): Promise<OriginalStep[]> {
  // Default settings but for the thread, which decides how sums are split.
  const options = { intraOpNumThreads: 1, logSeverityLevel: 4 } as const;
  const encoder = await InferenceSession.create(model.encoder, options);
  const decoder = await InferenceSession.create(model.decoder, options);
  const audio = new Tensor('float32', samples, [1, samples.length]);
  const hidden = (await encoder.run({ input_values: audio })).last_hidden_state;
  if (hidden === undefined) throw new Error('the encoder yields no hidden states');
  const tokens = (id: number) => new Tensor('int64', [BigInt(id)], [1, 1]);
  const flag = (value: boolean) => new Tensor('bool', [value], [1]);
  const feeds: Record<string, Tensor> = {
    input_ids: tokens(model.generation.bosToken),
    encoder_hidden_states: hidden,
    use_cache_branch: flag(false),
  };
  const states = decoder.inputNames.filter((input) => input.startsWith('past_key_values'));
  for (const state of states) feeds[state] = new Tensor('float32', new Float32Array(0), [1, 8, 0, 36]);
  const made: OriginalStep[] = [];
  while (made.length < steps) {
    const outputs = await decoder.run(feeds);
    const logits = outputs.logits?.data;
    if (!(logits instanceof Float32Array)) throw new Error('the decoder yields no scores');
    const token = argmax(logits);
    made.push({ logits: logits.slice(), token });
    if (token === model.generation.eosToken) break;
    for (const state of states) {
      // Keys of the encoder's states are made in the first pass and kept.
      if (made.length > 1 && state.includes('.encoder.')) continue;
      const next = outputs[state.replace('past_key_values', 'present')];
      if (next !== undefined) feeds[state] = next;
    }
    feeds.input_ids = tokens(token);
    feeds.use_cache_branch = flag(true);
  }
  await encoder.release();
  await decoder.release();
  return made;
}
