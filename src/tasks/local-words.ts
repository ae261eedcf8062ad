/** A package's words on the thread that asks: in the worker for a page, in Node for itself. */
import type { Manifest } from '../package/manifest.ts';
import type { Words } from '../runtime/words.ts';
import { type TokenizerHome, textTokenizer } from './tokenizer.ts';

export interface WordsHome extends TokenizerHome {
  readonly manifest: Pick<Manifest, 'tokenizer' | 'text'>;
}

/** The tokenizer is loaded when it is first needed, and kept by `home`. */
export function localWords(home: WordsHome): Words {
  return {
    lexicon: async () => (await textTokenizer(home)).lexicon(),
    encode: async (text, special) => (await textTokenizer(home)).encode(text, { special }),
    chat: async (messages) => {
      // Templates are for who chats: who transcribes does not load their interpreter.
      const { renderChat } = await import('./text/chat-template.ts');
      const { text } = home.manifest;
      return renderChat(text?.chatTemplate, messages, {
        specialTokens: text?.specialTokens ?? {},
        addGenerationPrompt: true,
        now: () => new Date(),
      });
    },
  };
}
