import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LexiconPart } from '../../src/core/lexicon.ts';
import {
  encodedAnswer,
  MAX_FAR_TEXT,
  MAX_FAR_TOKENS,
  parseEncoded,
  parseRead,
  parseWordsRequest,
  readAnswer,
  wordsPath,
  wordsRequest,
} from '../../src/protocol/words-messages.ts';

const bytes = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const token = fc.nat(2 ** 31 - 1);

const part: fc.Arbitrary<LexiconPart> = fc.record(
  {
    decoder: fc.constantFrom(null, { type: 'ByteLevel' }),
    addedTokens: fc.array(fc.record({ id: token, content: fc.string() })),
    cleanUp: fc.boolean(),
    endOfWordSuffix: fc.string({ minLength: 1 }),
    texts: fc.array(fc.tuple(token, fc.option(fc.string({ unit: 'binary' })))).map((all) => new Map(all)),
  },
  { requiredKeys: ['decoder', 'addedTokens', 'texts'] },
);

describe('words over a wire', () => {
  it('come as they went', () => {
    fc.assert(
      fc.property(
        part,
        fc.array(token),
        fc.string({ minLength: 1 }),
        fc.boolean(),
        (told, tokens, text, special) => {
          expect(parseRead(bytes(readAnswer(told)))).toEqual(told);
          expect(parseEncoded(bytes(encodedAnswer(tokens)))).toEqual(tokens);
          const read = { kind: 'read', tokens } as const;
          const encode = { kind: 'encode', text, special } as const;
          for (const asked of [read, encode]) {
            expect(parseWordsRequest(new TextEncoder().encode(wordsRequest(asked)))).toEqual(asked);
          }
        },
      ),
    );
  });

  it('have an address in which every model has a place of its own', () => {
    expect(wordsPath('a/b c')).toBe('/v2/models/a%2Fb%20c/words');
  });

  it.each([
    [{}, 'bad-frame'],
    [{ text: 'a' }, 'bad-frame'],
    [{ text: '', special: true }, 'bad-frame'],
    [{ text: 3, special: true }, 'bad-frame'],
    [{ tokens: 'all' }, 'bad-frame'],
    [{ tokens: [-1] }, 'bad-frame'],
    [{ tokens: [0.5] }, 'bad-frame'],
    [[], 'bad-frame'],
    [{ text: 'x'.repeat(MAX_FAR_TEXT + 1), special: false }, 'limit-exceeded'],
    [{ tokens: Array.from({ length: MAX_FAR_TOKENS + 1 }, () => 1) }, 'limit-exceeded'],
  ])('refuse the question %#', (asked, code) => {
    expect(() => parseWordsRequest(bytes(asked))).toThrow(expect.objectContaining({ code }));
  });

  it.each([
    [{ texts: [[1, 2]] }, 'bad-frame'],
    [{ texts: [['a', 'b']] }, 'bad-frame'],
    [{ texts: ['ab'] }, 'bad-frame'],
    [{ texts: [[1, 'a', 3]] }, 'limit-exceeded'],
    [{ texts: [[1, 'x'.repeat(2 ** 14 + 1)]] }, 'limit-exceeded'],
    [{ texts: {} }, 'bad-frame'],
    [{ decoder: 'all' }, 'bad-frame'],
    [{ addedTokens: ['a'] }, 'bad-frame'],
  ])('refuse the answer %#', (answer, code) => {
    expect(() => parseRead(bytes(answer))).toThrow(expect.objectContaining({ code }));
  });

  it('are refused with a code, whatever comes', () => {
    const anything = fc.oneof(
      fc.uint8Array(),
      fc.json().map((text) => new TextEncoder().encode(text)),
      fc
        .object({ key: fc.constantFrom('text', 'special', 'tokens', 'texts', 'decoder', 'addedTokens') })
        .map(bytes),
    );
    fc.assert(
      fc.property(anything, fc.constantFrom(parseWordsRequest, parseEncoded, parseRead), (came, parse) => {
        try {
          parse(came);
        } catch (error) {
          expect(['bad-frame', 'limit-exceeded']).toContain((error as { code?: string }).code);
        }
      }),
    );
  });
});
