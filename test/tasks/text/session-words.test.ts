/** Whose words a session speaks: those of its runner where it has any, else its own. */
import { describe, expect, it } from 'vitest';
import { tokenizerFromGguf } from '../../../src/package/gguf/tokenizer.ts';
import type { Words } from '../../../src/runtime/words.ts';
import { localWords } from '../../../src/tasks/local-words.ts';
import { readerOf, type SpeakingHome, wordsOf } from '../../../src/tasks/session-words.ts';
import { llamaMetadata } from './real-tokenizers.ts';

const made = tokenizerFromGguf(llamaMetadata());
const HELLO = [15043, 3186, 29991];

/** Reads its files here; what fails, fails once. */
function home(failures: Error[] = []): SpeakingHome & { reads: number } {
  return {
    reads: 0,
    manifest: { tokenizer: { tokenizer: 't.json', config: 'c.json' } },
    async readFile(path) {
      this.reads += 1;
      const failure = failures.pop();
      if (failure !== undefined) throw failure;
      return new TextEncoder().encode(JSON.stringify(path === 't.json' ? made.tokenizer : made.config));
    },
  };
}

describe('words', () => {
  it('are made here where the runner has no thread of its own', async () => {
    const session = home();
    const [reader, again] = await Promise.all([readerOf(session), readerOf(session)]);
    expect(again).toBe(reader);
    expect(wordsOf(session)).toBe(wordsOf(session));
    expect(await wordsOf(session).encode('Hello world!', false)).toEqual(HELLO);
    expect(await wordsOf(session).encode('Hello world!', true)).toEqual([1, ...HELLO]);
    expect(reader.text(HELLO)).toBe('Hello world!');
    expect(session.reads).toBe(2);
  });

  it('are asked of the runner where it has one, and no file is read here', async () => {
    const there = localWords(home());
    const session = home();
    const words: Words = { ...there, chat: async () => 'a prompt' };
    const speaking = Object.assign(session, { words });
    expect((await readerOf(speaking)).text(HELLO)).toBe('Hello world!');
    expect(await wordsOf(speaking).encode('Hello world!', false)).toEqual(HELLO);
    expect(await wordsOf(speaking).chat([])).toBe('a prompt');
    expect(session.reads).toBe(0);
  });

  it('are tried again after a failure', async () => {
    const session = home([new Error('gone')]);
    await expect(readerOf(session)).rejects.toThrow('gone');
    expect((await readerOf(session)).text(HELLO)).toBe('Hello world!');
  });

  it('are none of a package without a tokenizer', async () => {
    const session: SpeakingHome = { manifest: {}, readFile: async () => new Uint8Array() };
    await expect(readerOf(session)).rejects.toMatchObject({ code: 'bad-package' });
    await expect(wordsOf(session).encode('x', false)).rejects.toMatchObject({ code: 'bad-package' });
    await expect(wordsOf(session).chat([{ role: 'user', content: 'x' }])).rejects.toMatchObject({
      code: 'unsupported-model',
    });
  });
});
