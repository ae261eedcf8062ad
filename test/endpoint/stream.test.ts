import { beforeAll, describe, expect, it } from 'vitest';
import type { OpenedPackage } from '../../src/package/node/open-package.ts';
import { PROTOCOL_VERSION } from '../../src/protocol/messages.ts';
import { createNodeRunner } from '../../src/runtime/node/ort-node.ts';
import { TINY } from '../fixtures/tiny-models.ts';
import { importOnce, importSpeech, onDisk } from './packages.ts';
import { connect, crossed, features, opened, reference, start } from './with-endpoint.ts';

let speech: OpenedPackage;
let once: OpenedPackage;
let blocks: number;
/** Blocks of the encoder. */
let middle: number;

beforeAll(async () => {
  // No end token: the length of every answer is then the number asked for.
  speech = await onDisk(await importSpeech('speech', []));
  once = await onDisk(await importOnce());
  blocks = speech.manifest.blocks.length;
  middle = speech.manifest.stages[0]?.to ?? 0;
});

describe('a stream', () => {
  it('begins with what is served', async () => {
    const endpoint = await start({ packages: [speech, once] });
    const { StreamClient } = await import('./stream-client.ts');
    const client = new StreamClient(endpoint.url);
    const idle = { queueMs: 0, paces: [] };
    expect(await client.next('hello')).toEqual({
      type: 'hello',
      protocol: PROTOCOL_VERSION,
      models: ['speech', 'once'],
      load: { speech: idle, once: idle },
    });
    await client.close();
  });

  it('streams each token of a whole request and then the totals', async () => {
    const endpoint = await start({ packages: [speech] });
    const client = await connect(endpoint);
    for (const seed of [1, 2, 3]) {
      const input = features(4 + seed, seed);
      client.start({
        id: seed,
        model: 'speech',
        span: { from: 0, to: blocks },
        tensors: { once: { features: input } },
      });
      const { tokens, done } = await client.tokens();
      expect(tokens).toEqual(await reference(speech, input));
      expect(done).toMatchObject({ id: seed, reason: 'max-tokens' });
      expect(Object.keys(done.segments)).toEqual([`0:0-${middle}:once`, `1:${middle}-${blocks}:step`]);
      expect(done.timing.computeMs).toBeGreaterThan(0);
    }
    expect(endpoint.metrics()).toMatchObject({
      tokens: 60,
      requests: { 'stream:max-tokens': 3 },
      errors: {},
    });
  });

  it('goes on from every cut of the encoder, and from known tokens, with the same tokens', async () => {
    const endpoint = await start({ packages: [speech], maxLoadedSegments: 4 });
    const client = await connect(endpoint);
    const input = features();
    const whole = await reference(speech, input);
    const runner = createNodeRunner(speech.manifest, speech.source);
    for (let cut = 1; cut <= middle; cut += 1) {
      const near = await opened(speech, { from: 0, to: cut }, runner);
      const tensors = crossed(await near.start({ once: { features: input } }));
      const prefix = whole.slice(0, cut);
      client.start({
        id: cut,
        model: 'speech',
        span: { from: cut, to: blocks },
        tensors,
        prefix,
        maxTokens: cut + 5,
      });
      const tokens: number[] = [];
      for (let step = cut; step < cut + 5; step += 1) {
        const message = await client.next('tokens');
        expect(message.step).toBe(step);
        tokens.push(...message.tokens);
      }
      expect((await client.next('done')).reason).toBe('max-tokens');
      expect(tokens).toEqual(whole.slice(cut, cut + 5));
    }
    await runner.close();
  });

  it('answers step by step at every cut of the decoder, with the same tokens', async () => {
    const endpoint = await start({ packages: [speech] });
    const client = await connect(endpoint);
    const input = features();
    const whole = await reference(speech, input, 6);
    const runner = createNodeRunner(speech.manifest, speech.source);
    for (let cut = middle + 1; cut < blocks; cut += 1) {
      const near = await opened(speech, { from: 0, to: cut }, runner);
      let tensors = crossed(await near.start({ once: { features: input } }));
      client.start({ id: cut, model: 'speech', span: { from: cut, to: blocks }, tensors, maxTokens: 6 });
      const tokens: number[] = [];
      for (let step = 0; step < 6; step += 1) {
        if (step > 0) client.send({ type: 'step', id: cut, step, tensors });
        const message = await client.next('tokens');
        expect(message).toMatchObject({ id: cut, step });
        tokens.push(...message.tokens);
        tensors = crossed(await near.step(message.tokens));
      }
      expect((await client.next('done')).reason).toBe('max-tokens');
      expect(tokens).toEqual(whole);
      await near.close();
    }
    await runner.close();
  });

  it('takes steps ahead of their answers', async () => {
    const endpoint = await start({ packages: [speech] });
    const client = await connect(endpoint);
    const input = features();
    const whole = await reference(speech, input, 6);
    const runner = createNodeRunner(speech.manifest, speech.source);
    const cut = middle + 2;
    const near = await opened(speech, { from: 0, to: cut }, runner);
    const first = crossed(await near.start({ once: { features: input } }));
    client.start({ id: 1, model: 'speech', span: { from: cut, to: blocks }, tensors: first, maxTokens: 6 });
    for (let step = 1; step < 6; step += 1) {
      const tensors = crossed(await near.step([whole[step - 1] ?? 0]));
      client.send({ type: 'step', id: 1, step, tensors });
    }
    expect((await client.tokens()).tokens).toEqual(whole);
    await runner.close();
  });

  it('hands on what crosses where its span ends before the model does', async () => {
    const endpoint = await start({ packages: [speech, once] });
    const client = await connect(endpoint);
    const input = features();
    const tensors = { once: { features: input } };
    client.start({ id: 1, model: 'once', span: { from: 0, to: once.manifest.blocks.length }, tensors });
    const output = await client.next('output');
    expect(output.tensors.once?.encoded?.dims).toEqual([1, 5, TINY.hidden]);
    expect(await client.next('done')).toMatchObject({ id: 1, reason: 'output' });

    client.start({ id: 2, model: 'speech', span: { from: 0, to: middle }, tensors, codec: 'fp16' });
    const halved = await client.next('output');
    expect(halved.tensors.once?.encoded?.dims).toEqual([1, 5, TINY.hidden]);
    await client.next('done');

    // Blocks in the middle of the loop: the ends of the model stay with the client.
    const whole = await reference(speech, input, 3);
    const runner = createNodeRunner(speech.manifest, speech.source);
    const [a, b] = [middle + 1, blocks - 1];
    const head = await opened(speech, { from: 0, to: a }, runner);
    const tail = await opened(speech, { from: b, to: blocks }, runner);
    const began = crossed(await head.start({ once: { features: input } }));
    client.start({ id: 3, model: 'speech', span: { from: a, to: b }, tensors: began, maxTokens: 3 });
    const tokens: number[] = [];
    for (let step = 0; step < 3; step += 1) {
      if (step > 0) {
        client.send({ type: 'step', id: 3, step, tensors: crossed(await head.step(tokens.slice(-1))) });
      }
      const { tensors: far } = await client.next('output');
      const scores = step === 0 ? await tail.start(far) : await tail.step(far.step ?? {});
      if (scores.kind !== 'logits') throw new Error(`expected scores, got ${scores.kind}`);
      tokens.push(scores.logits.indexOf(Math.max(...scores.logits)));
    }
    expect(tokens).toEqual(whole);
    expect((await client.next('done')).reason).toBe('max-tokens');
    await runner.close();
  });

  it('ends on an end token, which is not an answer', async () => {
    const input = features();
    const whole = await reference(speech, input);
    const eos = whole[3] ?? 0;
    const ending = await onDisk(await importSpeech('ending', [eos]));
    const endpoint = await start({ packages: [ending] });
    const client = await connect(endpoint);
    client.start({
      id: 1,
      model: 'ending',
      span: { from: 0, to: blocks },
      tensors: { once: { features: input } },
    });
    const { tokens, done } = await client.tokens();
    expect(done.reason).toBe('eos');
    expect(tokens).toEqual(whole.slice(0, whole.indexOf(eos)));
  });

  it('answers pings with as many bytes as they ask for, while a request runs', async () => {
    const endpoint = await start({ packages: [speech] });
    const client = await connect(endpoint);
    client.send({ type: 'ping', id: 7, replyBytes: 100_000, padding: new Uint8Array(500) });
    const pong = await client.next('pong');
    expect(pong.id).toBe(7);
    expect(pong.padding.byteLength).toBe(100_000);
  });
});
