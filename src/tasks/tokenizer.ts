/** The package's tokenizer, loaded once per session. */
import { Tokenizer } from '@huggingface/tokenizers';
import { IsthmusError } from '../errors.ts';
import type { Session } from '../session/types.ts';

export interface TokenDecoder {
  /** Text of tokens from the beginning; a character whose bytes are not all there is left out. */
  decode(tokens: readonly number[]): string;
}

const loaded = new WeakMap<Session, Promise<TokenDecoder>>();

/** Throws `bad-package` when the package has no tokenizer or one that cannot be read. */
export function textDecoder(session: Session): Promise<TokenDecoder> {
  let decoder = loaded.get(session);
  if (decoder === undefined) {
    decoder = load(session);
    loaded.set(session, decoder);
    // A fetch that failed may succeed at the next request.
    decoder.catch(() => loaded.delete(session));
  }
  return decoder;
}

async function load(session: Session): Promise<TokenDecoder> {
  const { tokenizer } = session.manifest;
  if (tokenizer === undefined) {
    throw new IsthmusError('bad-package', 'the package has no tokenizer: import the model with --tokenizer');
  }
  const read = async (path: string): Promise<object> =>
    JSON.parse(new TextDecoder().decode(await session.readFile(path))) as object;
  const config = tokenizer.config === undefined ? {} : await read(tokenizer.config);
  const json = await read(tokenizer.tokenizer);
  try {
    const inner = new Tokenizer(json, config);
    return {
      decode: (tokens) => {
        // The tokenizer throws on an empty list, and a piece of noise may well have no words.
        if (tokens.length === 0) return '';
        return withoutPartial(inner.decode([...tokens], { skip_special_tokens: true }));
      },
    };
  } catch (error) {
    throw new IsthmusError('bad-package', 'the tokenizer of the package cannot be read', { cause: error });
  }
}

/** Byte tokens of an unfinished character decode to replacement characters at the end. */
function withoutPartial(text: string): string {
  return text.replace(/\uFFFD+$/, '');
}
