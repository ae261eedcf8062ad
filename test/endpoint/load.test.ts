/** What a client hears of load and pace: with the first word, with every answer, and with a pong. */
import { describe, expect, it } from 'vitest';
import { GREEDY } from '../../src/core/sampling.ts';
import { tinyText } from '../fixtures/tiny-text.ts';
import { importSpeech, onDisk } from './packages.ts';
import { StreamClient } from './stream-client.ts';
import { connect, features, start } from './with-endpoint.ts';

/** A whole answer of a language model. */
async function askLane(client: StreamClient, model: string): Promise<void> {
  client.send({ type: 'open', id: 1, model, codec: 'fp32' });
  client.send({
    type: 'loop',
    id: 1,
    call: 0,
    position: 0,
    tokens: [1, 2, 3],
    sampling: GREEDY,
    answer: [],
    endTokens: [],
    maxTokens: 4,
  });
  while ((await client.any()).type === 'tokens');
}

describe('an endpoint', () => {
  it('tells in each answer which segments took how long since the last one, and in a pong what it learned', async () => {
    const speech = await onDisk(await importSpeech('speech', []));
    const client = await connect(await start({ packages: [speech], warm: false }));
    const span = { from: 0, to: speech.manifest.blocks.length };
    client.start({
      id: 1,
      model: 'speech',
      span,
      tensors: { once: { features: features(6, 1) } },
      maxTokens: 4,
    });
    const sums: Record<string, number> = {};
    for (;;) {
      const answer = await client.any();
      if (answer.type === 'tokens') {
        for (const [key, ms] of Object.entries(answer.segments ?? {})) sums[key] = (sums[key] ?? 0) + ms;
        continue;
      }
      if (answer.type !== 'done') throw new Error(`unexpected ${answer.type}`);
      expect(Object.keys(sums)).toEqual(Object.keys(answer.segments));
      for (const [key, ms] of Object.entries(sums)) {
        expect(ms).toBeLessThanOrEqual((answer.segments[key] ?? 0) + 1e-6);
      }
      break;
    }
    client.send({ type: 'ping', id: 2, replyBytes: 0, padding: new Uint8Array(0) });
    const { load } = await client.next('pong');
    const told = load?.speech?.paces.map(({ segment, units }) => [segment.split(':').at(-1), units]);
    expect(told).toEqual(
      expect.arrayContaining([
        ['once', 6],
        ['step', 1],
      ]),
    );
  });

  it('tells a newcomer of the one who is here, and that one nothing of its own work', async () => {
    for (const opened of [await onDisk(await importSpeech('speech', [])), await tinyText()]) {
      const { name, blocks } = opened.manifest;
      const endpoint = await start({ packages: [opened], warm: false });
      const here = await connect(endpoint);
      const span = { from: 0, to: blocks.length };
      if (opened.manifest.stages[0]?.kind === 'loop') await askLane(here, name);
      else {
        here.start({
          id: 1,
          model: name,
          span,
          tensors: { once: { features: features(6, 1) } },
          maxTokens: 9,
        });
        await here.tokens();
      }
      here.send({ type: 'ping', id: 2, replyBytes: 0, padding: new Uint8Array(0) });
      expect((await here.next('pong')).load?.[name]?.queueMs).toBe(0);
      const newcomer = new StreamClient(endpoint.url);
      expect((await newcomer.next('hello')).load?.[name]?.queueMs).toBeGreaterThan(0);
      await newcomer.close();
    }
  });

  it('that rehearsed tells its pace with its first word, and nothing of that work as load', async () => {
    const speech = await onDisk(await importSpeech('speech', []));
    const endpoint = await start({ packages: [speech], rehearse: true });
    // It rehearses behind its start: the first word of whoever comes after that has it.
    for (;;) {
      const client = new StreamClient(endpoint.url);
      const { load } = await client.next('hello');
      await client.close();
      const phases = load?.speech?.paces.map(({ segment }) => segment.split(':').at(-1)) ?? [];
      if (phases.length < 2) continue;
      expect(phases.sort()).toEqual(['once', 'step']);
      expect(load?.speech?.queueMs).toBe(0);
      break;
    }
  });

  it('that rehearsed tells what a language model takes for a step, and for a prompt', async () => {
    const text = await tinyText();
    const endpoint = await start({ packages: [text], rehearse: true });
    for (;;) {
      const client = new StreamClient(endpoint.url);
      const { load } = await client.next('hello');
      await client.close();
      const sizes = load?.[text.manifest.name]?.paces.map(({ units }) => units) ?? [];
      if (new Set(sizes).size < 2) continue;
      expect(sizes).toContain(1);
      expect(Math.max(...sizes)).toBeGreaterThan(8);
      break;
    }
  });
});
