import { describe, expect, it } from 'vitest';
import type { FarWords } from '../../src/runtime/words.ts';
import { lexiconPart } from '../../src/tasks/lexicon-part.ts';
import { ReadAsTold } from '../../src/tasks/text/read-as-told.ts';
import type { TokenReader } from '../../src/tasks/token-reader.ts';
import type { TextTokenizer } from '../../src/tasks/tokenizer.ts';
import { ToldReader } from '../../src/tasks/told-reader.ts';
import { CORPUS, moonshineTokenizer } from './text/real-tokenizers.ts';

const NONSENSE = { decoder: { type: 'Crystal' }, addedTokens: [] };

const never = (): Promise<TokenReader> => new Promise(() => undefined);

/** An endpoint that answers when it is told to. */
function endpointOf(tokenizer: TextTokenizer) {
  const asked: (readonly number[])[] = [];
  const waiting: (() => void)[] = [];
  const far: FarWords = {
    encode: async (text) => tokenizer.encode(text),
    read: async (tokens) => {
      asked.push(tokens);
      await new Promise<void>((resolve) => waiting.push(resolve));
      return lexiconPart(tokenizer.lexicon(), tokens);
    },
  };
  const answer = async (): Promise<void> => {
    waiting.shift()?.();
    // Until whoever waits for it has heard it.
    await new Promise((resolve) => setTimeout(resolve));
  };
  return { far, asked, answer };
}

describe('tokens that the endpoint tells of', () => {
  it('read as the tokenizer reads them, and each is asked about once', async () => {
    const tokenizer = await moonshineTokenizer();
    const far: FarWords = {
      encode: async (text) => tokenizer.encode(text),
      read: async (tokens) => {
        for (const token of tokens) expect(asked.has(token)).toBe(false);
        for (const token of tokens) asked.add(token);
        return lexiconPart(tokenizer.lexicon(), tokens);
      },
    };
    const asked = new Set<number>();
    const reader = new ToldReader(far, never);
    const all: number[] = [];
    for (const text of CORPUS) {
      const tokens = tokenizer.encode(text);
      all.push(...tokens);
      await reader.learn(tokens);
      expect(reader.knows(all)).toBe(true);
      expect(reader.text(tokens)).toBe(tokenizer.text(tokens));
      expect(reader.decode(all)).toBe(tokenizer.decode(all));
    }
  });

  it('are asked about together while an answer is on its way, and shown in their order', async () => {
    const tokenizer = await moonshineTokenizer();
    const { far, asked, answer } = endpointOf(tokenizer);
    const shown: [number, number][] = [];
    const reading = new ReadAsTold(new ToldReader(far, never), (token, holdMs) =>
      shown.push([token, holdMs]),
    );
    for (const token of [300, 301, 302, 301]) reading.push(token, 7);
    const done = reading.done();
    expect(asked).toEqual([[300]]);
    await answer();
    expect(shown.map(([token]) => token)).toEqual([300]);
    expect(asked).toEqual([[300], [301, 302]]);
    await answer();
    await done;
    expect(shown.map(([token]) => token)).toEqual([300, 301, 302, 301]);
    // Known by now, and nothing is before it: at once, and held for as long as it should be.
    reading.push(300, 5);
    expect(shown.at(-1)).toEqual([300, 5]);
    await reading.done();
  });

  it('are read by the tokenizer from when it is here', async () => {
    const tokenizer = await moonshineTokenizer();
    const { far, asked, answer } = endpointOf(tokenizer);
    const reader = new ToldReader(far, async () => tokenizer);
    expect(reader.knows([300])).toBe(false);
    const learned = reader.learn([300]);
    await answer();
    await learned;
    expect(reader.knows([300, 301, 40_000])).toBe(false);
    await reader.useLocal();
    expect(reader.knows([300, 301, 40_000])).toBe(true);
    await reader.learn([5, 6, 7]);
    expect(asked).toEqual([[300]]);
  });

  it.each([
    ['fails', () => Promise.reject(new Error('gone'))],
    [
      'tells what makes no sense',
      async () => ({
        ...NONSENSE,
        texts: new Map([
          [300, 'a'],
          [301, 'b'],
        ]),
      }),
    ],
    ['says nothing of them', async () => ({ decoder: null, addedTokens: [], texts: new Map() })],
  ])('wait for the tokenizer where the endpoint %s', async (_, read) => {
    const tokenizer = await moonshineTokenizer();
    const reader = new ToldReader({ encode: async () => [], read }, async () => tokenizer);
    await reader.learn([300, 301]);
    expect(reader.text([300, 301])).toBe(tokenizer.text([300, 301]));
  });

  it('cannot be read where neither is to be had, and not after an end', async () => {
    const broken = { encode: async () => [], read: () => Promise.reject(new Error('gone')) };
    const reader = new ToldReader(broken, () => Promise.reject(new Error('no tokenizer either')));
    await expect(reader.learn([300])).rejects.toThrow('no tokenizer either');
    const ended = AbortSignal.abort();
    await expect(new ToldReader(broken, never, ended).learn([300])).rejects.toThrow('gone');
  });
});
