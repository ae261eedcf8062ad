/** The package's tokenizer: loaded once, retried after a failure, and clear about what cannot be read. */
import { describe, expect, it } from 'vitest';
import { tokenizerFromGguf } from '../../../src/package/gguf/tokenizer.ts';
import {
  MAX_TEXT_LENGTH,
  openTokenizer,
  type TokenizerHome,
  textTokenizer,
} from '../../../src/tasks/tokenizer.ts';
import { llamaMetadata, opened } from './real-tokenizers.ts';

const made = tokenizerFromGguf(llamaMetadata());

/** A session with those files; an error is thrown when its file is read. */
function home(files: Record<string, string | Error>, config = true): TokenizerHome & { reads: number } {
  return {
    reads: 0,
    manifest: { tokenizer: { tokenizer: 't.json', ...(config ? { config: 'c.json' } : {}) } },
    readFile(path) {
      this.reads += 1;
      const file = files[path];
      if (typeof file === 'string') return Promise.resolve(new TextEncoder().encode(file));
      return Promise.reject(file ?? new Error(`no ${path}`));
    },
  };
}

const FILES = { 't.json': JSON.stringify(made.tokenizer), 'c.json': JSON.stringify(made.config) };

describe('textTokenizer', () => {
  it('reads the files once per session', async () => {
    const session = home(FILES);
    const [one, two] = await Promise.all([textTokenizer(session), textTokenizer(session)]);
    expect(one).toBe(two);
    expect(session.reads).toBe(2);
    expect(one.encode('Hello world!')).toEqual([15043, 3186, 29991]);
  });

  it('tries again after a file that failed', async () => {
    const files: Record<string, string | Error> = { ...FILES, 't.json': new Error('gone') };
    const session = home(files);
    await expect(textTokenizer(session)).rejects.toThrow('gone');
    files['t.json'] = FILES['t.json'];
    expect((await textTokenizer(session)).tokenOf('</s>')).toBe(2);
  });

  it.each([
    ['no JSON', '{'],
    ['JSON of something else', '[]'],
    ['null', 'null'],
    ['a model of no known type', '{"model":{"type":"X"},"decoder":null,"normalizer":null}'],
  ])('calls %s a bad package', async (_, json) => {
    await expect(textTokenizer(home({ 't.json': json }, false))).rejects.toMatchObject({
      code: 'bad-package',
    });
  });

  it('calls a package without one a bad package', async () => {
    const session: TokenizerHome = {
      manifest: {},
      readFile: () => Promise.reject(new Error('not to be read')),
    };
    await expect(textTokenizer(session)).rejects.toMatchObject({ code: 'bad-package' });
  });
});

describe('a tokenizer', () => {
  const tokenizer = opened(made);

  it('tells special tokens and those beyond its vocabulary from text', () => {
    expect([0, 1, 2, 3, 15043, 40_000].map((token) => tokenizer.isSpecial(token))).toEqual([
      true,
      true,
      true,
      false,
      false,
      true,
    ]);
    expect(tokenizer.text([1, 15043, 40_000, 3186, 2])).toBe('Hello world');
    expect(tokenizer.text([1, 2])).toBe('');
    expect(tokenizer.text([])).toBe('');
  });

  it('makes special tokens of their texts, and knows their ids', () => {
    expect(tokenizer.encode('<s>')).toEqual([1]);
    expect(tokenizer.tokenOf('</s>')).toBe(2);
    expect(tokenizer.tokenOf('<|nothing|>')).toBeUndefined();
  });

  it('leaves out unfinished characters where it decodes from the beginning', () => {
    const bytes = [0xf0, 0x9f].map(
      (byte) => tokenizer.tokenOf(`<0x${byte.toString(16).toUpperCase()}>`) ?? 0,
    );
    expect(tokenizer.decode([15043, ...bytes])).toBe('Hello');
    expect(tokenizer.text([15043, ...bytes])).toBe('Hello\ufffd');
  });

  it('takes the empty text and unpaired surrogates, and refuses texts without end', () => {
    expect(tokenizer.encode('')).toEqual([]);
    expect(tokenizer.text(tokenizer.encode('a\ud800b'))).toBe('a\ufffdb');
    expect(() => tokenizer.encode('x'.repeat(MAX_TEXT_LENGTH + 1))).toThrow(
      expect.objectContaining({ code: 'input-too-long' }),
    );
  });

  it('is not made of something else', () => {
    expect(() => openTokenizer({}, {})).toThrow(expect.objectContaining({ code: 'bad-package' }));
  });
});
