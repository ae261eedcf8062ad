/** What a client hears of load and pace: with the first word, with every answer, and with a pong. */
import { describe, expect, it } from 'vitest';
import { tinyText } from '../fixtures/tiny-text.ts';
import { importSpeech, onDisk } from './packages.ts';
import { StreamClient } from './stream-client.ts';
import { connect, features, start } from './with-endpoint.ts';

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

  it('that rehearsed tells its pace with its first word', async () => {
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
