/**
 * A GGUF's tokenizer as the two files that Hugging Face's tokenizers read: what `tokenizer.ggml.*` says, in
 * the format of `tokenizer.json` and `tokenizer_config.json`. Two kinds are known: `gpt2` (byte-level BPE
 * with merges) and `llama` (SentencePiece's BPE with scores and bytes as a fallback).
 */
import { IsthmusError } from '../../errors.ts';
import { booleanOf, countOf, type Metadata, required, stringOf } from './metadata.ts';
import { listedMerges, type Merge, mergesFromScores } from './tokenizer-merges.ts';
import { preTokenization } from './tokenizer-pre.ts';
import { type AddedToken, addedTokens, readVocabulary, type Vocabulary } from './tokenizer-vocabulary.ts';

/** Tokens that end a text by their name, though the file may name another one as its EOS (as llama.cpp has it). */
const END_TEXTS: readonly string[] = [
  '<|endoftext|>',
  '<|end_of_text|>',
  '<|im_end|>',
  '<|eot_id|>',
  '<|eom_id|>',
  '</s>',
];

/** SentencePiece's stand-in for a space. */
const SPACE = '\u2581';

export interface GgufTokenizer {
  /** `tokenizer.json`. */
  readonly tokenizer: object;
  /** `tokenizer_config.json`. */
  readonly config: object;
  readonly bosToken?: number;
  /** Tokens that end a text; the one that the file names first. */
  readonly eosTokens: readonly number[];
  readonly addBos: boolean;
  /** Texts by the names that chat templates use: `bos_token`, `eos_token`, `unk_token`, `pad_token`. */
  readonly specialTokens: Readonly<Record<string, string>>;
  readonly chatTemplate?: string;
}

/**
 * Throws `unsupported-model` for another kind of tokenizer or family of words, named in the message, and
 * `bad-model` for metadata that contradicts itself.
 */
export function tokenizerFromGguf(metadata: Metadata): GgufTokenizer {
  const vocabulary = readVocabulary(metadata);
  const added = addedTokens(vocabulary);
  const specialTokens = namedTokens(metadata, vocabulary);
  const parts = partsOf(metadata, vocabulary, specialTokens.unk_token);
  const bosToken = idOf(metadata, 'bos', vocabulary);
  const eosToken = idOf(metadata, 'eos', vocabulary);
  const addBos =
    (booleanOf(metadata, 'tokenizer.ggml.add_bos_token') ?? parts.addBos) && bosToken !== undefined;
  const chatTemplate = stringOf(metadata, 'tokenizer.chat_template');
  return {
    tokenizer: {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: added,
      normalizer: parts.normalizer,
      pre_tokenizer: parts.preTokenizer,
      post_processor:
        addBos && specialTokens.bos_token !== undefined
          ? beginsWith(specialTokens.bos_token, bosToken)
          : null,
      decoder: parts.decoder,
      model: parts.model,
    },
    config: {
      ...specialTokens,
      add_bos_token: addBos,
      // Would take spaces out of code and of any text that has them before a full stop.
      clean_up_tokenization_spaces: false,
      ...(chatTemplate === undefined ? {} : { chat_template: chatTemplate }),
    },
    ...(bosToken === undefined ? {} : { bosToken }),
    eosTokens: endTokens(metadata, vocabulary, added, eosToken),
    addBos,
    specialTokens,
    ...(chatTemplate === undefined ? {} : { chatTemplate }),
  };
}

interface Parts {
  readonly normalizer: object | null;
  readonly preTokenizer: object | null;
  readonly decoder: object;
  readonly model: object;
  readonly addBos: boolean;
}

function partsOf(metadata: Metadata, vocabulary: Vocabulary, unknown: string | undefined): Parts {
  const key = 'tokenizer.ggml.model';
  const kind = required(stringOf(metadata, key), key);
  if (kind === 'gpt2') return byteLevelParts(metadata, vocabulary);
  if (kind === 'llama') return sentencePieceParts(metadata, vocabulary, unknown);
  throw new IsthmusError('unsupported-model', `the GGUF's tokenizer is of a kind not known here: '${kind}'`, {
    details: { kind, supported: ['gpt2', 'llama'] },
  });
}

function byteLevelParts(metadata: Metadata, vocabulary: Vocabulary): Parts {
  const family = preTokenization(stringOf(metadata, 'tokenizer.ggml.pre') ?? 'default');
  return {
    normalizer: family.normalizer,
    preTokenizer: family.preTokenizer,
    decoder: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    model: {
      ...bpe(vocabulary, listedMerges(metadata, vocabulary)),
      unk_token: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: family.ignoreMerges,
    },
    addBos: family.addBos,
  };
}

function sentencePieceParts(metadata: Metadata, vocabulary: Vocabulary, unknown: string | undefined): Parts {
  const leadingSpace = booleanOf(metadata, 'tokenizer.ggml.add_space_prefix') ?? true;
  const spaces = { type: 'Replace', pattern: { String: ' ' }, content: SPACE };
  const normalizers = leadingSpace ? [{ type: 'Prepend', prepend: SPACE }, spaces] : [spaces];
  const strip = leadingSpace ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : [];
  return {
    normalizer: { type: 'Sequence', normalizers },
    preTokenizer: null,
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: SPACE }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        ...strip,
      ],
    },
    model: {
      ...bpe(vocabulary, mergesFromScores(metadata, vocabulary)),
      unk_token: unknown ?? null,
      fuse_unk: true,
      byte_fallback: true,
      ignore_merges: false,
    },
    addBos: true,
  };
}

function bpe({ ids }: Vocabulary, merges: readonly Merge[]): object {
  return {
    type: 'BPE',
    dropout: null,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    // Not by assignment: `__proto__` is a token of models that have read code.
    vocab: Object.fromEntries(ids),
    merges,
  };
}

function beginsWith(text: string, id: number | undefined): object {
  const bos = { SpecialToken: { id: text, type_id: 0 } };
  const [a, b] = [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }];
  const special_tokens = { [text]: { id: text, ids: [id], tokens: [text] } };
  return { type: 'TemplateProcessing', single: [bos, a], pair: [bos, a, bos, b], special_tokens };
}

/** The token with that role. Throws `bad-model` for one outside the vocabulary. */
function idOf(metadata: Metadata, role: string, { tokens }: Vocabulary): number | undefined {
  const key = `tokenizer.ggml.${role}_token_id`;
  const id = countOf(metadata, key);
  if (id === undefined || id < tokens.length) return id;
  throw new IsthmusError('bad-model', `the GGUF's ${key} is ${id}, and it has ${tokens.length} tokens`);
}

function namedTokens(metadata: Metadata, vocabulary: Vocabulary): Record<string, string> {
  const roles = { bos_token: 'bos', eos_token: 'eos', unk_token: 'unknown', pad_token: 'padding' };
  const named = Object.entries(roles).flatMap(([name, role]) => {
    const id = idOf(metadata, role, vocabulary);
    const text = id === undefined ? undefined : vocabulary.tokens[id];
    return text === undefined ? [] : [[name, text] as const];
  });
  return Object.fromEntries(named);
}

function endTokens(
  metadata: Metadata,
  vocabulary: Vocabulary,
  added: readonly AddedToken[],
  eosToken: number | undefined,
): number[] {
  const roles = ['eot', 'eom'].map((role) => idOf(metadata, role, vocabulary));
  const byText = added.filter(({ content, special }) => special && END_TEXTS.includes(content));
  const all = [eosToken, ...roles, ...byText.map(({ id }) => id)];
  return [...new Set(all.filter((id) => id !== undefined))];
}
