/** A real speech model behind an endpoint: what it writes is what was said, wherever the cut lies. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import { describe, expect, it } from 'vitest';
import { createNodeRunner } from '../../src/runtime/node/ort-node.ts';
import { inputOf, openReal, recording } from '../fixtures/real-speech.ts';
import { connect, crossed, opened, start } from './with-endpoint.ts';

const real = await openReal();
if (typeof real === 'string') console.info(`skipped: ${real}`);

describe.skipIf(typeof real === 'string')('a real model', () => {
  it('writes the same words from every third cut', async () => {
    if (typeof real === 'string' || recording === undefined) return;
    const { manifest, source, dir } = real;
    const blocks = manifest.blocks.length;
    const middle = manifest.stages[0]?.to ?? 0;
    const samples = recording.samples();
    const once = inputOf(manifest, samples);
    const endpoint = await start({ packages: [real] });
    const client = await connect(endpoint);
    client.start({
      id: 0,
      model: manifest.name,
      span: { from: 0, to: blocks },
      tensors: { once },
      maxTokens: 100,
    });
    const whole = await client.tokens();
    expect(whole.done.reason).toBe('eos');
    const tokenizer = new Tokenizer(
      JSON.parse(await readFile(join(dir, 'tokenizer.json'), 'utf8')) as object,
      {},
    );
    const words = tokenizer
      .decode([...whole.tokens], { skip_special_tokens: true })
      .toLowerCase()
      .split(/\W+/);
    const said = recording.transcript.split(' ');
    // Most of them: the model is small and 8 bits wide.
    expect(said.filter((word) => words.includes(word)).length).toBeGreaterThan(said.length * 0.7);

    const runner = createNodeRunner(manifest, source);
    for (let cut = 1; cut < blocks; cut += 3) {
      const near = await opened(real, { from: 0, to: cut }, runner);
      let tensors = crossed(await near.start({ once }));
      client.start({
        id: cut,
        model: manifest.name,
        span: { from: cut, to: blocks },
        tensors,
        maxTokens: 100,
      });
      const tokens: number[] = [];
      for (;;) {
        const message = await client.any();
        if (message.type === 'done') break;
        if (message.type !== 'tokens') throw new Error(JSON.stringify(message));
        tokens.push(...message.tokens);
        if (cut <= middle) continue;
        tensors = crossed(await near.step(message.tokens));
        client.send({ type: 'step', id: cut, step: tokens.length, tensors });
      }
      expect([cut, tokens]).toEqual([cut, whole.tokens]);
      await near.close();
    }
    await runner.close();
  });
});
