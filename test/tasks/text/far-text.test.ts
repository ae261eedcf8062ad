/** Texts on a first visit: cut into tokens and read by the endpoint, they are those that the tokenizer would make. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { FarWords, Words } from '../../../src/runtime/words.ts';
import type { RunTextOptions } from '../../../src/session/text/types.ts';
import type { Session } from '../../../src/session/types.ts';
import { lexiconPart } from '../../../src/tasks/lexicon-part.ts';
import { generateText } from '../../../src/tasks/text/generate.ts';
import type { TextTokenizer } from '../../../src/tasks/tokenizer.ts';
import { moonshineTokenizer } from './real-tokenizers.ts';

const ANSWER = ' It joins two lands — and parts two seas. \u{1F30A}';

let tokenizer: TextTokenizer;

beforeAll(async () => {
  tokenizer = await moonshineTokenizer();
});

const soon = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1));

/** Makes `ANSWER`, whatever it is asked; counts who is asked for words. */
function speaker(options: { isFirstVisit: boolean; isBroken?: boolean }) {
  const asked = { here: 0, there: 0, prompts: [] as (readonly number[])[] };
  const words: Words = {
    lexicon: async () => {
      asked.here += 1;
      return tokenizer.lexicon();
    },
    encode: async (text, special) => {
      asked.here += 1;
      return tokenizer.encode(text, { special });
    },
    chat: async () => 'a prompt',
  };
  const there = async <T>(answer: () => T): Promise<T> => {
    asked.there += 1;
    await soon();
    if (options.isBroken === true) throw new Error('gone');
    return answer();
  };
  const far: FarWords = {
    encode: (text, special) => there(() => tokenizer.encode(text, { special })),
    read: (tokens) => there(() => lexiconPart(tokenizer.lexicon(), tokens)),
  };
  // Of a session what a text needs.
  const session = {
    manifest: { tokenizer: { tokenizer: 'tokenizer.json' }, text: { contextLength: 1000 } },
    words,
    farWords: async () => (options.isFirstVisit ? { ...far, letGo: () => undefined } : undefined),
    runText: async ({ tokens, onToken, maxTokens }: RunTextOptions) => {
      asked.prompts.push(tokens);
      const made: number[] = [];
      for (const token of tokenizer.encode(ANSWER).slice(0, maxTokens)) {
        made.push(token);
        await soon();
        if (onToken?.(token, 0) === true) return { tokens: made, reason: 'stopped', usage: {} };
      }
      return { tokens: made, reason: 'end', usage: {} };
    },
  } as unknown as Session;
  return { session, asked };
}

async function told(session: Session, options = {}) {
  const stream = generateText(session, 'What is an isthmus?', options);
  const pieces: string[] = [];
  for await (const piece of stream) pieces.push(piece);
  const { text, tokens, reason } = await stream.result;
  return { text, tokens, reason, pieces };
}

describe('a text of a first visit', () => {
  it.each([{}, { maxTokens: 5 }])('is the same, and comes in pieces: %j', async (options) => {
    const home = speaker({ isFirstVisit: false });
    const visit = speaker({ isFirstVisit: true });
    const expected = await told(home.session, options);
    const got = await told(visit.session, options);
    expect({ ...got, pieces: got.pieces.join('') }).toEqual({
      ...expected,
      pieces: expected.pieces.join(''),
    });
    expect(got.pieces.length).toBeGreaterThan(1);
    expect(visit.asked.prompts).toEqual(home.asked.prompts);
    expect(visit.asked.there).toBeGreaterThan(1);
    expect(home.asked.there).toBe(0);
    // A turn behind it begins where this one ended, in its tokens.
    const next = `What is an isthmus?${expected.text} More`;
    for (const { session } of [home, visit]) await generateText(session, next).result;
    expect(visit.asked.prompts.at(-1)).toEqual(home.asked.prompts.at(-1));
  });

  it('ends at a stop text as each token comes, and so waits for the tokenizer', async () => {
    const { session, asked } = speaker({ isFirstVisit: true });
    const { text, reason } = await told(session, { stop: [' and'] });
    expect(reason).toBe('stop');
    expect(text).toBe(tokenizer.text(tokenizer.encode(ANSWER)).split(' and')[0]);
    expect(asked.there).toBe(0);
  });

  it('is the same where the endpoint does not tell', async () => {
    const expected = await told(speaker({ isFirstVisit: false }).session);
    const { session, asked } = speaker({ isFirstVisit: true, isBroken: true });
    const got = await told(session);
    expect(got.text).toBe(expected.text);
    expect(got.tokens).toEqual(expected.tokens);
    expect(asked.here).toBeGreaterThan(0);
  });

  it('ends when it is aborted, also while words are asked for', async () => {
    const { session } = speaker({ isFirstVisit: true });
    const controller = new AbortController();
    const stream = generateText(session, 'What is an isthmus?', { signal: controller.signal });
    controller.abort();
    await expect(stream.result).rejects.toMatchObject({ code: 'aborted' });
  });
});
