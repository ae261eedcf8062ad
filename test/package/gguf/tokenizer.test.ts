/** Tokenizers made from GGUF metadata: real vocabularies beside independent encoders, and broken ones. */
import llamaTokenizer from 'llama-tokenizer-js';
import { describe, expect, it, type TestContext } from 'vitest';
import type { GgufValue, Metadata } from '../../../src/package/gguf/metadata.ts';
import { stringsOf } from '../../../src/package/gguf/metadata.ts';
import { tokenizerFromGguf } from '../../../src/package/gguf/tokenizer.ts';
import { CORPUS, llamaMetadata, opened, smollmMetadata } from '../../tasks/text/real-tokenizers.ts';
import { BYTE_TEXTS } from './byte-texts.ts';
import { type PlainBpe, plainEncode } from './plain-bpe.ts';

/** The expressions of `llama-vocab.cpp` for `LLAMA_VOCAB_PRE_TYPE_SMOLLM`. */
const SMOLLM = [/\p{N}/gu, /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)/gu];

async function smollm(context: TestContext): Promise<Metadata> {
  const metadata = await smollmMetadata();
  return typeof metadata === 'string' ? context.skip(metadata) : metadata;
}

function plainOf(metadata: Metadata, expressions: readonly RegExp[]): PlainBpe {
  const tokens = stringsOf(metadata, 'tokenizer.ggml.tokens') ?? [];
  const merges = stringsOf(metadata, 'tokenizer.ggml.merges') ?? [];
  return {
    ids: new Map(tokens.map((text, id) => [text, id])),
    ranks: new Map(merges.map((merge, rank) => [merge, rank])),
    expressions,
  };
}

function thrown(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe('SmolLM2', () => {
  it('encodes as a plain implementation does, and decodes to the same text', async (context) => {
    const metadata = await smollm(context);
    const tokenizer = opened(tokenizerFromGguf(metadata));
    const plain = plainOf(metadata, SMOLLM);
    for (const text of CORPUS) {
      const ids = tokenizer.encode(text);
      expect({ text, ids }).toEqual({ text, ids: plainEncode(text, plain) });
      expect(tokenizer.text(ids)).toBe(text);
    }
  });

  it('has one id for each special token, and the chat template that came with it', async (context) => {
    const made = tokenizerFromGguf(await smollm(context));
    const tokenizer = opened(made);
    const ids = tokenizer.encode('<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n');
    const [start, end] = [tokenizer.tokenOf('<|im_start|>'), tokenizer.tokenOf('<|im_end|>')];
    expect([start, end]).toEqual([1, 2]);
    expect(ids.filter((id) => id === 1)).toHaveLength(2);
    expect(ids.filter((id) => id === 2)).toHaveLength(1);
    expect(tokenizer.text(ids)).toBe('user\nHi\nassistant\n');
    expect(made).toMatchObject({
      bosToken: 1,
      addBos: false,
      specialTokens: { bos_token: '<|im_start|>', eos_token: '<|im_end|>' },
    });
    expect(made.eosTokens[0]).toBe(2);
    expect(made.chatTemplate).toContain('add_generation_prompt');
  });
});

describe('SentencePiece scores', () => {
  const made = tokenizerFromGguf(llamaMetadata());
  const tokenizer = opened(made);

  it('encode as the original merges do, and decode to the same text', () => {
    for (const text of CORPUS) {
      if (text === '') continue;
      const ids = tokenizer.encode(text);
      expect({ text, ids }).toEqual({ text, ids: llamaTokenizer.encode(text, false, true) });
      // The byte order mark is taken away where it is spelled in bytes.
      if (!text.includes('\ufeff')) expect(tokenizer.text(ids)).toBe(text.replaceAll('▁', ' '));
    }
  });

  it('find every merge that the original has', () => {
    const { merges } = (made.tokenizer as { model: { merges: [string, string][] } }).model;
    const found = new Set(merges.map(([left, right]) => `${left} ${right}`));
    expect(llamaTokenizer.merges.size).toBeGreaterThan(60_000);
    expect([...llamaTokenizer.merges.keys()].filter((merge) => !found.has(merge))).toEqual([]);
  });

  it('begin with BOS where it is asked for, and without a space where the file says so', () => {
    expect(made).toMatchObject({ addBos: true, bosToken: 1, eosTokens: [2] });
    expect(tokenizer.encode('Hello world!', { special: true })).toEqual([1, 15043, 3186, 29991]);
    const bare = opened(
      tokenizerFromGguf(
        llamaMetadata({ 'tokenizer.ggml.add_space_prefix': false, 'tokenizer.ggml.add_bos_token': false }),
      ),
    );
    const ids = bare.encode('Hello world!', { special: true });
    expect(ids).toEqual(llamaTokenizer.encode('Hello world!', false, false));
    expect(bare.text(ids)).toBe('Hello world!');
    expect(bare.text(bare.encode(' two'))).toBe(' two');
  });
});

/** A byte-level tokenizer of all bytes and a few words. */
function tiny(more: Readonly<Record<string, GgufValue>> = {}): Metadata {
  const words = ['he', 'll', 'hell', 'hello', 'Ġhello', '__proto__', '12', '123'];
  const special = ['<s>', '<tool>', '<|im_end|>'];
  const tokens = [...BYTE_TEXTS, ...words, '__', ...special];
  return new Map<string, GgufValue>([
    ['tokenizer.ggml.model', 'gpt2'],
    ['tokenizer.ggml.pre', 'gpt-2'],
    ['tokenizer.ggml.tokens', tokens],
    [
      'tokenizer.ggml.token_type',
      tokens.map((text) => (text === '<tool>' ? 4 : special.includes(text) ? 3 : 1)),
    ],
    ['tokenizer.ggml.merges', ['h e', 'l l', 'he ll', 'hell o', 'Ġ hello', '_ _', '1 2', '12 3']],
    ['tokenizer.ggml.bos_token_id', tokens.indexOf('<s>')],
    ['tokenizer.ggml.eos_token_id', tokens.indexOf('<s>')],
    ...Object.entries(more),
  ]);
}

const words = (metadata: Metadata, text: string): string[] => {
  const tokenizer = opened(tokenizerFromGguf(metadata));
  return tokenizer.encode(text).map((id) => tokenizer.text([id]));
};

describe('families of words', () => {
  it.each([
    ['gpt-2', ['hello', ' hello', '123', '4']],
    ['smollm', ['hello', ' hello', '1', '2', '3', '4']],
    ['qwen2', ['hello', ' hello', '1', '2', '3', '4']],
    ['llama-bpe', ['hello', ' hello', '123', '4']],
    ['default', ['hello', ' hello', '123', '4']],
  ])('%s', (pre, expected) => {
    expect(words(tiny({ 'tokenizer.ggml.pre': pre }), 'hello hello1234')).toEqual(expected);
  });

  it('llama-bpe takes a word that is a token whole, though no merges lead to it', () => {
    expect(words(tiny({ 'tokenizer.ggml.pre': 'llama-bpe' }), '__proto__')).not.toContain('__proto__');
    const metadata = tiny({ 'tokenizer.ggml.pre': 'llama-bpe', 'tokenizer.ggml.merges': ['h e'] });
    expect(words(metadata, 'hello')).toEqual(['hello']);
    expect(words(tiny({ 'tokenizer.ggml.merges': ['h e'] }), 'hello')).toEqual(['he', 'l', 'l', 'o']);
  });

  it('qwen2 composes characters first; the others take them as they come', () => {
    expect(words(tiny({ 'tokenizer.ggml.pre': 'qwen2' }), 'e\u0301')).toHaveLength(2);
    expect(words(tiny(), 'e\u0301')).toHaveLength(3);
  });
});

describe('odd vocabularies', () => {
  it('keep a token called __proto__, show what users defined, and know ends by their names', () => {
    const made = tokenizerFromGguf(tiny());
    const tokenizer = opened(made);
    expect(tokenizer.tokenOf('__proto__')).toBe(256 + 5);
    const ids = tokenizer.encode('<s><tool>hello<|im_end|>');
    expect(ids).toHaveLength(4);
    expect(tokenizer.text(ids)).toBe('<tool>hello');
    expect(made.eosTokens.map((id) => tokenizer.tokenOf('<s>') === id)).toEqual([true, false]);
  });

  it.each<[string, Record<string, GgufValue>, string]>([
    ['a family not known', { 'tokenizer.ggml.pre': 'martian' }, 'unsupported-model'],
    ['a kind not known', { 'tokenizer.ggml.model': 'rwkv' }, 'unsupported-model'],
    ['no kind', { 'tokenizer.ggml.model': 3 }, 'bad-model'],
    ['types of another number', { 'tokenizer.ggml.token_type': [1] }, 'bad-model'],
    ['a merge without a space', { 'tokenizer.ggml.merges': ['hell'] }, 'bad-model'],
    ['a merge that makes no token', { 'tokenizer.ggml.merges': ['o o'] }, 'bad-model'],
    ['a BOS beyond the tokens', { 'tokenizer.ggml.bos_token_id': 9_999 }, 'bad-model'],
    [
      'one token twice',
      { 'tokenizer.ggml.tokens': ['a', 'a'], 'tokenizer.ggml.token_type': [1, 1] },
      'bad-model',
    ],
    ['no tokens', { 'tokenizer.ggml.tokens': [], 'tokenizer.ggml.token_type': [] }, 'bad-model'],
    ['scores missing', { 'tokenizer.ggml.model': 'llama' }, 'bad-model'],
    [
      'scores of another number',
      { 'tokenizer.ggml.model': 'llama', 'tokenizer.ggml.scores': [1] },
      'bad-model',
    ],
  ])('%s: refused', (_, more, code) => {
    expect(thrown(() => tokenizerFromGguf(tiny(more)))).toMatchObject({ code });
  });

  it('names what is not supported', () => {
    const error = thrown(() => tokenizerFromGguf(tiny({ 'tokenizer.ggml.pre': 'martian' })));
    expect(error).toMatchObject({ message: expect.stringContaining("'martian'") });
  });
});
