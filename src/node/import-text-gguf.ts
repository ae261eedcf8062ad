/** What a GGUF's metadata says of text, as a package says it. Pure. */
import { type Metadata, numberOf } from '../package/gguf/metadata.ts';
import type { GgufTokenizer } from '../package/gguf/tokenizer.ts';
import type { TextModel } from '../package/manifest.ts';
import { MAX_TEMPLATE_LENGTH } from '../package/manifest-limits.ts';
import { DEFAULT_ANSWER_TOKENS, type TextSettings, type TextWishes } from './import-text-config.ts';

export function ggufSettings(
  metadata: Metadata,
  tokens: GgufTokenizer,
  modelContext: number,
  wishes: TextWishes,
): TextSettings {
  const notes: string[] = [];
  const contextLength = Math.min(modelContext, wishes.contextLength ?? modelContext);
  const bosToken = wishes.bosToken ?? tokens.bosToken;
  const eosTokens = wishes.eosTokens ?? tokens.eosTokens;
  if (eosTokens.length === 0)
    notes.push('no end token is known: answers end at the token limit; --eos sets it');
  const { chatTemplate } = tokens;
  const fits = chatTemplate !== undefined && chatTemplate.length <= MAX_TEMPLATE_LENGTH;
  if (chatTemplate !== undefined && !fits) {
    notes.push(`the chat template has ${chatTemplate.length} characters and was left out`);
  }
  const sampling = samplingOf(metadata);
  return {
    text: {
      contextLength,
      specialTokens: tokens.specialTokens,
      // The graphs are built so (decision 0005).
      exactRows: true,
      addBos: tokens.addBos && bosToken !== undefined,
      ...(fits && { chatTemplate }),
      ...(sampling !== undefined && { sampling }),
    },
    generation: {
      eosTokens,
      maxTokens: Math.max(1, Math.min(contextLength, wishes.maxTokens ?? DEFAULT_ANSWER_TOKENS)),
      ...(bosToken !== undefined && { bosToken }),
    },
    notes,
  };
}

/** Keys that llama.cpp's converter takes over from `generation_config.json`. */
const SAMPLING_KEYS = {
  temperature: 'general.sampling.temp',
  topK: 'general.sampling.top_k',
  topP: 'general.sampling.top_p',
  minP: 'general.sampling.min_p',
  repetitionPenalty: 'general.sampling.penalty_repeat',
} as const;

function samplingOf(metadata: Metadata): TextModel['sampling'] {
  const found = Object.entries(SAMPLING_KEYS).flatMap(([name, key]) => {
    const value = numberOf(metadata, key);
    return value !== undefined && Number.isFinite(value) && value >= 0 ? [[name, value] as const] : [];
  });
  return found.length === 0 ? undefined : Object.fromEntries(found);
}
