/** The tokens that a GGUF's metadata names for what they do. */
import { countOf, type Metadata } from './metadata.ts';

export interface SpecialTokens {
  readonly bosToken?: number;
  readonly eosToken?: number;
  /** End of text, of a turn and of a message; each once, `eosToken` first. */
  readonly endTokens: readonly number[];
}

export function specialTokens(metadata: Metadata): SpecialTokens {
  const token = (name: string) => countOf(metadata, `tokenizer.ggml.${name}_token_id`);
  const bosToken = token('bos');
  const eosToken = token('eos');
  const ends = [eosToken, token('eot'), token('eom')].filter((end) => end !== undefined);
  return {
    ...(bosToken === undefined ? {} : { bosToken }),
    ...(eosToken === undefined ? {} : { eosToken }),
    endTokens: [...new Set(ends)],
  };
}
