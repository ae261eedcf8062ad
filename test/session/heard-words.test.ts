/** What the endpoint tells with its tokens is asked by nobody: of both kinds of models, and only where it is wanted. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { LexiconPart } from '../../src/core/lexicon.ts';
import { GREEDY } from '../../src/core/sampling.ts';
import type { EndpointPackage } from '../../src/endpoint/endpoint.ts';
import type { OpenedPackage } from '../../src/package/node/open-package.ts';
import type { FarWords } from '../../src/runtime/words.ts';
import { HeardWords } from '../../src/session/heard-words.ts';
import type { Session } from '../../src/session/types.ts';
import { importSpeech, onDisk } from '../endpoint/packages.ts';
import { features } from '../endpoint/with-endpoint.ts';
import { DeviceFiles } from '../fixtures/node-device.ts';
import { tinyText } from '../fixtures/tiny-text.ts';
import { isUp, open, startEndpoint } from './with-session.ts';

const DECODER = { type: 'Fuse' };
const ADDED = [{ id: 3, content: '<a>', special: true }];

function partOf(tokens: readonly number[]): LexiconPart {
  return {
    decoder: DECODER,
    addedTokens: ADDED.filter(({ id }) => tokens.includes(id)),
    texts: new Map(tokens.map((token) => [token, token === 3 ? null : `${token}`])),
  };
}

const models = {
  speech: async () => onDisk(await importSpeech('speech', [])),
  text: tinyText,
};

const ask = {
  speech: async (session: Session) =>
    (await session.run({ inputs: { features: features(5, 4) }, plan: 'remote', maxTokens: 12 })).tokens,
  text: async (session: Session) => {
    const request = { tokens: [5, 9, 31, 5, 9], sampling: GREEDY, endTokens: [], maxTokens: 12 };
    return (await session.runText({ ...request, plan: 'remote' })).tokens;
  },
};

describe.each(['speech', 'text'] as const)('words of %s', (kind) => {
  let pkg: OpenedPackage;

  beforeAll(async () => {
    const made = await models[kind]();
    // Any of its files: that it is not here is what makes a visit the first.
    const [file] = Object.keys(made.manifest.files);
    pkg = { ...made, manifest: { ...made.manifest, tokenizer: { tokenizer: file ?? '' } } };
  });

  async function visit({ isRead = true } = {}) {
    const told: number[] = [];
    const asked: (readonly number[])[] = [];
    const words: FarWords = {
      encode: async () => [],
      read: async (tokens) => {
        asked.push(tokens);
        return partOf(tokens);
      },
      known: (tokens) => {
        if (!isRead) return undefined;
        told.push(...tokens);
        return partOf(tokens);
      },
    };
    const served: EndpointPackage & OpenedPackage = { ...pkg, words };
    const endpoint = await startEndpoint(served, { warm: false });
    const files = new DeviceFiles(pkg, 'none');
    const { session, seen } = await open(pkg, {
      port: endpoint.port,
      files,
      prefetch: false,
      parts: { farWords: words },
    });
    await seen(isUp);
    return { session, told, asked };
  }

  it('come with the tokens, each once, and nobody asks', async () => {
    const { session, told, asked } = await visit();
    const held = await session.farWords?.({ plan: 'remote' });
    const tokens = await ask[kind](session);
    expect(tokens.length).toBeGreaterThan(4);
    const part = await held?.read(tokens);
    expect(part?.texts).toEqual(partOf(tokens).texts);
    expect(part?.decoder).toEqual(DECODER);
    expect(part?.addedTokens).toEqual(partOf(tokens).addedTokens);
    expect(asked).toEqual([]);
    expect(told.toSorted()).toEqual([...new Set(tokens)].toSorted());
    held?.letGo();
    await session.close();
  });

  it('come only to who wants them, as long as they do', async () => {
    const { session, told } = await visit();
    await ask[kind](session);
    expect(told).toEqual([]);
    const held = await session.farWords?.({ plan: 'remote' });
    await ask[kind](session);
    const { length } = told;
    expect(length).toBeGreaterThan(0);
    held?.letGo();
    await ask[kind](session);
    expect(told).toHaveLength(length);
    await session.close();
  });

  it('are asked for where the endpoint has not read its tokenizer', async () => {
    const { session, told, asked } = await visit({ isRead: false });
    const held = await session.farWords?.({ plan: 'remote' });
    const tokens = await ask[kind](session);
    expect((await held?.read(tokens))?.texts).toEqual(partOf(tokens).texts);
    expect([told, asked]).toEqual([[], [tokens]]);
    held?.letGo();
    await session.close();
  });
});

describe('words that were heard', () => {
  const read: FarWords['read'] = async () => {
    throw new Error('asked');
  };

  it('are read by what came with the first of them', async () => {
    const heard = new HeardWords();
    heard.add({ ...partOf([1, 3]), cleanUp: true });
    heard.add({ decoder: null, addedTokens: [], texts: new Map([[7, 'seven']]) });
    expect(await heard.orAsked(read)([7, 1])).toEqual({
      decoder: DECODER,
      cleanUp: true,
      addedTokens: [],
      texts: new Map([
        [7, 'seven'],
        [1, '1'],
      ]),
    });
    expect((await heard.orAsked(read)([3])).addedTokens).toEqual(ADDED);
  });

  it('are asked for where one was not', async () => {
    const heard = new HeardWords();
    await expect(heard.orAsked(read)([1])).rejects.toThrow('asked');
    heard.add(partOf([1]));
    await expect(heard.orAsked(read)([1, 2])).rejects.toThrow('asked');
    expect((await heard.orAsked(read)([1])).texts.get(1)).toBe('1');
  });
});
