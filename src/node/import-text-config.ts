/**
 * What the configuration files of a language model say (config.json, generation_config.json,
 * tokenizer.json, tokenizer_config.json, ...), as a package says it. Pure; written for files as makers
 * publish them: ids may be one or a list, tokens text or objects, templates one or several.
 */
import type { Generation, TextModel } from '../package/manifest.ts';
import { MAX_TEMPLATE_LENGTH } from '../package/manifest-limits.ts';
import { count, counts, entries, field, text } from './import-text-json.ts';
import { beginsWithBos, tokenIds } from './import-text-tokens.ts';

/** Parsed JSON of each file that is there. */
export interface TextFiles {
  readonly config?: unknown;
  readonly generationConfig?: unknown;
  readonly tokenizer?: unknown;
  readonly tokenizerConfig?: unknown;
  readonly specialTokensMap?: unknown;
  /** `chat_template.jinja` as text. */
  readonly template?: string;
  /** `chat_template.json`. */
  readonly templateJson?: unknown;
}

/** What the user says in place of the files. */
export interface TextWishes {
  readonly bosToken?: number;
  readonly eosTokens?: readonly number[];
  readonly maxTokens?: number;
  /** Shortens the context: state and tables are made for so many positions. */
  readonly contextLength?: number;
}

export interface TextSettings {
  readonly text: TextModel;
  readonly generation: Generation;
  /** What was assumed or left out, for a person. */
  readonly notes: readonly string[];
}

/** Keys of config.json under which makers put the number of positions. */
const CONTEXT_KEYS = ['max_position_embeddings', 'n_positions', 'n_ctx', 'max_seq_len', 'seq_length'];

/** Tokenizers that know no limit write 1e30 and the like; no model is made for so many positions. */
const LONGEST_CONTEXT = 2 ** 24;
const ASSUMED_CONTEXT = 2048;

/** Stops an answer that does not end itself; a long page of text. */
export const DEFAULT_ANSWER_TOKENS = 2048;

export function textSettings(files: TextFiles, wishes: TextWishes = {}): TextSettings {
  const notes: string[] = [];
  const contextLength = contextOf(files, wishes, notes);
  const specialTokens = specialTexts(files);
  const ids = tokenIds(files.tokenizer);
  const configs = [files.generationConfig, files.config, field(files.config, 'text_config')];
  const bosToken =
    wishes.bosToken ??
    first(configs, (config) => count(field(config, 'bos_token_id'))) ??
    ids.get(specialTokens.bos_token ?? '');
  const named = first(configs, (config) => counts(field(config, 'eos_token_id'))) ?? [];
  // Chat models end a turn with the tokenizer's token, also where the configuration knows another one.
  const ending = ids.get(specialTokens.eos_token ?? '');
  const eosTokens = wishes.eosTokens ?? [...new Set([...named, ...(ending === undefined ? [] : [ending])])];
  if (eosTokens.length === 0)
    notes.push('no end token is known: answers end at the token limit; --eos sets it');
  const chatTemplate = templateOf(files, notes);
  const sampling = samplingOf(files.generationConfig);
  const wanted =
    wishes.maxTokens ??
    count(field(files.generationConfig, 'max_new_tokens')) ??
    count(field(files.generationConfig, 'max_length')) ??
    DEFAULT_ANSWER_TOKENS;
  return {
    text: {
      contextLength,
      specialTokens,
      addBos: bosToken !== undefined && addsBos(files, specialTokens.bos_token, bosToken),
      ...(chatTemplate !== undefined && { chatTemplate }),
      ...(sampling !== undefined && { sampling }),
    },
    generation: {
      eosTokens,
      maxTokens: Math.max(1, Math.min(contextLength, wanted)),
      ...(bosToken !== undefined && { bosToken }),
    },
    notes,
  };
}

function contextOf(files: TextFiles, wishes: TextWishes, notes: string[]): number {
  const configs = [files.config, field(files.config, 'text_config')];
  const own =
    first(configs, (config) => first(CONTEXT_KEYS, (key) => positions(field(config, key)))) ??
    positions(field(files.tokenizerConfig, 'model_max_length'));
  const { contextLength } = wishes;
  if (own === undefined && contextLength === undefined) {
    notes.push(`a context of ${ASSUMED_CONTEXT} positions assumed; --context sets it`);
  }
  return Math.min(contextLength ?? LONGEST_CONTEXT, own ?? contextLength ?? ASSUMED_CONTEXT);
}

/** `chat_template.jinja` counts more than the tokenizer's own, which counts more than the processor's. */
function templateOf(files: TextFiles, notes: string[]): string | undefined {
  const found =
    files.template ??
    oneTemplate(field(files.tokenizerConfig, 'chat_template')) ??
    oneTemplate(field(files.templateJson, 'chat_template'));
  if (found === undefined || found.length <= MAX_TEMPLATE_LENGTH) return found;
  notes.push(`the chat template has ${found.length} characters and was left out`);
  return undefined;
}

/** Text, or a list of `{name, template}`, or an object by name; the one called `default` is meant. */
function oneTemplate(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (Array.isArray(value)) {
    const entry: unknown =
      value.find((item: unknown) => field(item, 'name') === 'default') ??
      (value.length === 1 ? value[0] : undefined);
    return text(field(entry, 'template'));
  }
  return text(field(value, 'default'));
}

/** Names that templates use, `bos_token` and the like, to texts; tokens are text or `{content}`. */
function specialTexts(files: TextFiles): Record<string, string> {
  const found: Record<string, string> = {};
  for (const source of [files.specialTokensMap, files.tokenizerConfig]) {
    if (typeof source !== 'object' || source === null) continue;
    const extra = field(source, 'extra_special_tokens');
    for (const [name, value] of [...entries(source), ...entries(extra)]) {
      const content = text(value) ?? text(field(value, 'content'));
      if (/_token$/.test(name) && content !== undefined) found[name] = content;
    }
  }
  return found;
}

/** The tokenizer's configuration says it, or else what `tokenizer.json` puts around every text. */
function addsBos(files: TextFiles, bosText: string | undefined, bosToken: number): boolean {
  const said = field(files.tokenizerConfig, 'add_bos_token');
  if (typeof said === 'boolean') return said;
  return beginsWithBos(files.tokenizer, bosText, bosToken);
}

/** Only what the makers wrote: the defaults of other libraries are no recommendation. */
function samplingOf(config: unknown): TextModel['sampling'] {
  const number = (name: string, least: number): number | undefined => {
    const value = field(config, name);
    return typeof value === 'number' && Number.isFinite(value) && value >= least ? value : undefined;
  };
  const penalty = number('repetition_penalty', Number.MIN_VALUE);
  const draws = field(config, 'do_sample') === true;
  const topK = draws ? number('top_k', 0) : undefined;
  const topP = draws ? number('top_p', 0) : undefined;
  const minP = draws ? number('min_p', 0) : undefined;
  const sampling = {
    ...(draws && { temperature: number('temperature', 0) ?? 1 }),
    ...(topK !== undefined && { topK: Math.round(topK) }),
    ...(topP !== undefined && topP <= 1 && { topP }),
    ...(minP !== undefined && minP <= 1 && { minP }),
    ...(penalty !== undefined && penalty !== 1 && { repetitionPenalty: penalty }),
  };
  return Object.keys(sampling).length === 0 ? undefined : sampling;
}

function first<S, T>(sources: readonly S[], read: (source: S) => T | undefined): T | undefined {
  for (const source of sources) {
    const value = read(source);
    if (value !== undefined) return value;
  }
  return undefined;
}

function positions(value: unknown): number | undefined {
  const found = count(value);
  return found !== undefined && found > 0 && found <= LONGEST_CONTEXT ? found : undefined;
}
