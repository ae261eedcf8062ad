/** The package's tokenizer, loaded once: half a second of work for a phone, which a worker does where there is one. */
import { Tokenizer } from '@huggingface/tokenizers';
import type { Lexicon } from '../core/lexicon.ts';
import { IsthmusError } from '../errors.ts';
import type { Manifest } from '../package/manifest.ts';
import { packLexicon } from './pack-lexicon.ts';
import { type TokenReader, tokenReader } from './token-reader.ts';

/**
 * UTF-16 units. More than the largest context takes of any script; a tokenizer holds some hundred bytes for
 * each while it works.
 */
export const MAX_TEXT_LENGTH = 2 ** 22;

export interface EncodeOptions {
  /** Put around the text what the tokenizer puts around every text (a BOS token, say). Default false. */
  readonly special?: boolean;
}

export interface TextTokenizer extends TokenReader {
  /**
   * Texts of special tokens in `text` become those tokens, as prompts made by templates need it. Throws
   * `input-too-long`.
   */
  encode(text: string, options?: EncodeOptions): number[];
  /** Id of the token with exactly that text, e.g. `</s>`. */
  tokenOf(text: string): number | undefined;
  /** What another thread needs to read tokens as this one does. */
  lexicon(): Lexicon;
}

/** Of a session, what a tokenizer is read from. */
export interface TokenizerHome {
  readonly manifest: Pick<Manifest, 'tokenizer'>;
  readFile(path: string): Promise<Uint8Array>;
}

const loaded = new WeakMap<TokenizerHome, Promise<TextTokenizer>>();

/** Throws `bad-package` when the package has no tokenizer or one that cannot be read. */
export function textTokenizer(session: TokenizerHome): Promise<TextTokenizer> {
  let tokenizer = loaded.get(session);
  if (tokenizer === undefined) {
    tokenizer = load(session);
    loaded.set(session, tokenizer);
    // A fetch that failed may succeed at the next request.
    tokenizer.catch(() => loaded.delete(session));
  }
  return tokenizer;
}

async function load(session: TokenizerHome): Promise<TextTokenizer> {
  const { tokenizer } = session.manifest;
  if (tokenizer === undefined) {
    throw new IsthmusError('bad-package', 'the package has no tokenizer: import the model with --tokenizer');
  }
  const read = async (path: string): Promise<unknown> => {
    const bytes = await session.readFile(path);
    try {
      return JSON.parse(new TextDecoder().decode(bytes));
    } catch (error) {
      throw unreadable(error);
    }
  };
  const config = tokenizer.config === undefined ? {} : await read(tokenizer.config);
  const json = await read(tokenizer.tokenizer);
  const opened = openTokenizer(json, config);
  forgetTables(json);
  return opened;
}

/**
 * The library keeps what it was given beside the tables that it has made of it: megabytes that nothing reads any
 * more.
 */
function forgetTables(json: unknown): void {
  const { model } = json as { readonly model?: { vocab?: unknown; merges?: unknown } };
  if (model === undefined) return;
  delete model.vocab;
  delete model.merges;
}

/**
 * From the parsed contents of `tokenizer.json` and `tokenizer_config.json`. Throws `bad-package` when they
 * are not such.
 */
export function openTokenizer(json: unknown, config: unknown): TextTokenizer {
  let inner: Tokenizer;
  try {
    inner = new Tokenizer(json as object, config as object);
  } catch (error) {
    throw unreadable(error);
  }
  const special = specialIds(inner, config);
  const isSpecial = (token: number): boolean => special.has(token) || inner.id_to_token(token) === undefined;
  const read = readingParts(json, config);
  return {
    ...tokenReader(isSpecial, (tokens, cleanUp) =>
      inner.decode(tokens, { clean_up_tokenization_spaces: cleanUp }),
    ),
    encode(text, options = {}) {
      checkLength(text);
      return inner.encode(text, { add_special_tokens: options.special === true }).ids;
    },
    tokenOf: (text) => inner.token_to_id(text),
    lexicon: () => {
      const { vocab = [], end_of_word_suffix: suffix } = inner.model ?? {};
      const endOfWord = suffix === undefined ? {} : { endOfWordSuffix: suffix };
      return packLexicon(vocab, isSpecial, { ...read, ...endOfWord });
    },
  };
}

/** Throws `input-too-long`. */
export function checkLength(text: string): void {
  if (text.length <= MAX_TEXT_LENGTH) return;
  throw new IsthmusError('input-too-long', `a text has at most ${MAX_TEXT_LENGTH} characters`, {
    details: { length: text.length, limit: MAX_TEXT_LENGTH },
  });
}

function readingParts(json: unknown, config: unknown): Pick<Lexicon, 'decoder' | 'addedTokens' | 'cleanUp'> {
  const { decoder, added_tokens: addedTokens } = json as Record<string, unknown>;
  const { clean_up_tokenization_spaces: cleanUp } = config as Record<string, unknown>;
  return { decoder, addedTokens, ...(typeof cleanUp === 'boolean' ? { cleanUp } : {}) };
}

function specialIds(inner: Tokenizer, config: unknown): ReadonlySet<number> {
  const added = [...inner.get_added_tokens_decoder()];
  const ids = added.filter(([, token]) => token.special).map(([id]) => id);
  const more = (config as { readonly additional_special_tokens?: unknown }).additional_special_tokens;
  const named = Array.isArray(more) ? more.map((text) => inner.token_to_id(String(text))) : [];
  return new Set([...ids, ...named.filter((id) => id !== undefined)]);
}

function unreadable(cause: unknown): IsthmusError {
  return new IsthmusError('bad-package', 'the tokenizer of the package cannot be read', { cause });
}
