/** Text in pieces: whole characters, nothing lost, the same as decoding all tokens at once. */
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { tokenizerFromGguf } from '../../../src/package/gguf/tokenizer.ts';
import { Detokeniser } from '../../../src/tasks/text/detokenise.ts';
import type { TextTokenizer } from '../../../src/tasks/tokenizer.ts';
import { CORPUS, llamaMetadata, moonshineTokenizer, opened, smollmMetadata } from './real-tokenizers.ts';

function pieces(tokenizer: TextTokenizer, tokens: readonly number[]): string[] {
  const detokeniser = new Detokeniser(tokenizer);
  return [...tokens.map((token) => detokeniser.push(token)), detokeniser.end()];
}

const tokenizers = new Map<string, { tokenizer: TextTokenizer; size: number }>();
let missing: string | undefined;

beforeAll(async () => {
  const smollm = await smollmMetadata();
  if (typeof smollm === 'string') missing = smollm;
  else tokenizers.set('SmolLM2', { tokenizer: opened(tokenizerFromGguf(smollm)), size: 49_200 });
  tokenizers.set('Llama 2', { tokenizer: opened(tokenizerFromGguf(llamaMetadata())), size: 32_010 });
  const bare = llamaMetadata({ 'tokenizer.ggml.add_space_prefix': false });
  tokenizers.set('Llama 2 without a leading space', {
    tokenizer: opened(tokenizerFromGguf(bare)),
    size: 32_010,
  });
  tokenizers.set('Moonshine', { tokenizer: await moonshineTokenizer(), size: 32_768 });
});

describe.each(['SmolLM2', 'Llama 2', 'Llama 2 without a leading space', 'Moonshine'])('%s', (name) => {
  it('gives any tokens at all the text that they have together', (context) => {
    const entry = tokenizers.get(name);
    if (entry === undefined) return context.skip(missing);
    const { tokenizer, size } = entry;
    // Byte tokens often, as characters in bytes are what can break; special and unknown ids among them.
    const token = fc.oneof(fc.nat(size), fc.integer({ min: 0, max: 260 }), fc.constantFrom(0, 1, 2, 29_871));
    fc.assert(
      fc.property(fc.array(token, { maxLength: 60 }), (tokens) => {
        expect(pieces(tokenizer, tokens).join('')).toBe(tokenizer.text(tokens));
      }),
      { numRuns: 400 },
    );
  });

  it('gives every text of the corpus back in whole characters, without a mark for what is not yet there', (context) => {
    const entry = tokenizers.get(name);
    if (entry === undefined) return context.skip(missing);
    const { tokenizer } = entry;
    for (const text of CORPUS) {
      const tokens = tokenizer.encode(text);
      const parts = pieces(tokenizer, tokens);
      expect(parts.join('')).toBe(tokenizer.text(tokens));
      for (const part of parts) {
        expect(part).not.toMatch(/\p{Cs}/u);
        expect(part).not.toContain('\ufffd');
      }
    }
  });
});

/** A token for each byte, and one that is special. */
const SPECIAL = 256;
const bytes: Pick<TextTokenizer, 'text' | 'isSpecial'> = {
  text: (tokens) => new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(tokens)),
  isSpecial: (token) => token === SPECIAL,
};

describe('bytes', () => {
  it('are the text that a decoder makes of all of them, whatever they are', () => {
    const lists = fc.array(fc.oneof(fc.nat(255), fc.integer({ min: 0x80, max: 0xf8 })), { maxLength: 120 });
    fc.assert(
      fc.property(lists, (tokens) => {
        const detokeniser = new Detokeniser(bytes);
        const text = tokens.map((token) => detokeniser.push(token)).join('') + detokeniser.end();
        expect(text).toBe(bytes.text(tokens));
      }),
      { numRuns: 3_000 },
    );
  });

  it('are held back until a character is whole, and not longer', () => {
    const detokeniser = new Detokeniser(bytes);
    const given = [...new TextEncoder().encode('a😀é')].map((byte) => detokeniser.push(byte));
    expect(given).toEqual(['a', '', '', '', '😀', '', 'é']);
  });

  it('that can no longer become a character are U+FFFD at once; those at the end, at the end', () => {
    const detokeniser = new Detokeniser(bytes);
    expect([0xe4, 0xe4, 0x41, 0xf0, 0x9f].map((byte) => detokeniser.push(byte))).toEqual([
      '',
      '\ufffd',
      '\ufffdA',
      '',
      '',
    ]);
    expect(detokeniser.end()).toBe('\ufffd');
    expect(detokeniser.end()).toBe('');
  });

  it('of junk without end are decoded a few at a time', () => {
    let longest = 0;
    const watched: typeof bytes = {
      ...bytes,
      text: (tokens) => {
        longest = Math.max(longest, tokens.length);
        return bytes.text(tokens);
      },
    };
    const detokeniser = new Detokeniser(watched);
    let length = 0;
    for (let turn = 0; turn < 5_000; turn += 1) length += detokeniser.push(0xe4).length;
    expect(length).toBe(4_999);
    expect(longest).toBeLessThan(64);
  });

  it('around a special token make the character that they make without it', () => {
    const detokeniser = new Detokeniser(bytes);
    expect([0xc3, SPECIAL, 0xa9].map((token) => detokeniser.push(token))).toEqual(['', '', 'é']);
  });
});
