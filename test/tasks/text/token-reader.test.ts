/** A reader reads as the tokenizer does that its lexicon is of, whatever the tokenizer is like. */
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { MAX_TOKEN_LENGTH } from '../../../src/core/lexicon.ts';
import { tokenizerFromGguf } from '../../../src/package/gguf/tokenizer.ts';
import { parseRead, readAnswer } from '../../../src/protocol/words-messages.ts';
import { lexiconPart } from '../../../src/tasks/lexicon-part.ts';
import { openPart, openReader } from '../../../src/tasks/token-reader.ts';
import { openTokenizer, type TextTokenizer } from '../../../src/tasks/tokenizer.ts';
import { CORPUS, llamaMetadata, moonshineTokenizer, opened, smollmMetadata } from './real-tokenizers.ts';

/** Through a port, as it comes from a worker. */
const across = (tokenizer: TextTokenizer) => openReader(structuredClone(tokenizer.lexicon()));

/** What is told of these tokens, as it comes over a wire. */
function told(tokenizer: TextTokenizer, tokens: readonly number[]) {
  const answer = readAnswer(lexiconPart(tokenizer.lexicon(), tokens));
  return openPart(parseRead(new TextEncoder().encode(JSON.stringify(answer))));
}

const added = (id: number, content: string, special: boolean) => ({
  id,
  content,
  special,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
});
const plain = { normalizer: null, pre_tokenizer: null, post_processor: null };

const BY_HAND: Readonly<Record<string, readonly [unknown, unknown]>> = {
  'words with pieces behind them': [
    {
      ...plain,
      model: {
        type: 'WordPiece',
        vocab: { '[UNK]': 0, isth: 1, '##mus': 2, '.': 3, do: 4, "n't": 5 },
        unk_token: '[UNK]',
      },
      decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
      added_tokens: [added(0, '[UNK]', true), added(9, '<gap>', false)],
    },
    { clean_up_tokenization_spaces: true },
  ],
  'pieces with scores': [
    {
      ...plain,
      model: {
        type: 'Unigram',
        vocab: [
          ['<unk>', 0],
          ['▁a', -1],
          ['b', -2],
          ['▁', -3],
        ],
        unk_id: 0,
      },
      decoder: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always' },
      added_tokens: [added(0, '<unk>', true)],
    },
    { additional_special_tokens: ['b'] },
  ],
  'ends of words': [
    {
      ...plain,
      model: {
        type: 'BPE',
        vocab: { 'a</w>': 0, b: 1, '\ud800': 2 },
        merges: [],
        end_of_word_suffix: '</w>',
      },
      decoder: { type: 'BPEDecoder', suffix: '</w>' },
      added_tokens: [],
    },
    {},
  ],
  'no decoder': [
    { ...plain, model: { type: 'BPE', vocab: { a: 0, b: 3 }, merges: [] }, decoder: null, added_tokens: [] },
    {},
  ],
};

const tokenizers = new Map<string, { tokenizer: TextTokenizer; size: number }>();
let missing: string | undefined;

beforeAll(async () => {
  const smollm = await smollmMetadata();
  if (typeof smollm === 'string') missing = smollm;
  else tokenizers.set('SmolLM2', { tokenizer: opened(tokenizerFromGguf(smollm)), size: 49_200 });
  tokenizers.set('Llama 2', { tokenizer: opened(tokenizerFromGguf(llamaMetadata())), size: 32_010 });
  tokenizers.set('Moonshine', { tokenizer: await moonshineTokenizer(), size: 32_800 });
  for (const [name, [json, config]] of Object.entries(BY_HAND)) {
    tokenizers.set(name, { tokenizer: openTokenizer(structuredClone(json), config), size: 12 });
  }
});

describe.each(['SmolLM2', 'Llama 2', 'Moonshine', ...Object.keys(BY_HAND)])('%s', (name) => {
  it('reads alike: any tokens, those of no vocabulary among them', (context) => {
    const entry = tokenizers.get(name);
    if (entry === undefined) return context.skip(missing);
    const { tokenizer, size } = entry;
    const reader = across(tokenizer);
    for (let token = -1; token <= size; token += 1) {
      const ours = [reader.isSpecial(token), reader.text([token])];
      const theirs = [tokenizer.isSpecial(token), tokenizer.text([token])];
      // Not each by its own assertion: there are tens of thousands.
      if (ours[0] !== theirs[0] || ours[1] !== theirs[1])
        expect([token, ...ours]).toEqual([token, ...theirs]);
    }
    const token = fc.oneof(fc.nat(size), fc.integer({ min: 0, max: 260 }));
    fc.assert(
      fc.property(fc.array(token, { maxLength: 40 }), (tokens) => {
        expect(reader.text(tokens)).toBe(tokenizer.text(tokens));
        expect(reader.decode(tokens)).toBe(tokenizer.decode(tokens));
      }),
    );
  });

  it('reads alike by what is told of those tokens alone', (context) => {
    const entry = tokenizers.get(name);
    if (entry === undefined) return context.skip(missing);
    const { tokenizer, size } = entry;
    const token = fc.oneof(fc.nat(size + 2), fc.integer({ min: 0, max: 260 }));
    fc.assert(
      fc.property(fc.array(token, { maxLength: 40 }), (tokens) => {
        const reader = told(tokenizer, tokens);
        expect(reader.text(tokens)).toBe(tokenizer.text(tokens));
        expect(reader.decode(tokens)).toBe(tokenizer.decode(tokens));
        for (const one of tokens) expect(reader.isSpecial(one)).toBe(tokenizer.isSpecial(one));
      }),
      { numRuns: 30 },
    );
  });

  it('reads the corpus alike', (context) => {
    const entry = tokenizers.get(name);
    if (entry === undefined) return context.skip(missing);
    if (Object.hasOwn(BY_HAND, name)) return;
    const reader = across(entry.tokenizer);
    for (const text of CORPUS) {
      const tokens = entry.tokenizer.encode(text);
      expect(reader.text(tokens)).toBe(entry.tokenizer.text(tokens));
    }
  });
});

describe('a lexicon', () => {
  it('is not made of tokens that are books', () => {
    const vocab = { ['x'.repeat(MAX_TOKEN_LENGTH + 1)]: 0 };
    const json = { ...plain, model: { type: 'BPE', vocab, merges: [] }, decoder: null, added_tokens: [] };
    expect(() => openTokenizer(json, {}).lexicon()).toThrow(expect.objectContaining({ code: 'bad-package' }));
  });

  it('that makes no sense is a bad package', () => {
    const { lexicon } = openTokenizer(structuredClone(BY_HAND['ends of words']?.[0]), {});
    const made = { ...lexicon(), decoder: { type: 'Crystal' } };
    expect(() => openReader(made)).toThrow(expect.objectContaining({ code: 'bad-package' }));
  });
});
