import { describe, expect, it } from 'vitest';
import { type TextFiles, textSettings } from '../../src/node/import-text-config.ts';
import { MAX_TEMPLATE_LENGTH } from '../../src/package/manifest-limits.ts';

const of = (files: TextFiles, wishes = {}) => textSettings(files, wishes);
const added = (...contents: string[]) => ({
  added_tokens: contents.map((content, id) => ({ id: id + 10, content })),
});

describe('end tokens', () => {
  it.each([
    [{ config: { eos_token_id: 2 } }, [2]],
    [{ config: { eos_token_id: 2 }, generationConfig: { eos_token_id: [3, 4] } }, [3, 4]],
    [{ config: { eos_token_id: null, text_config: { eos_token_id: [7] } } }, [7]],
    [{ config: { eos_token_id: [1, 'x'] } }, []],
    [
      { config: { eos_token_id: 2 }, tokenizerConfig: { eos_token: '<end>' }, tokenizer: added('<end>') },
      [2, 10],
    ],
    [{ tokenizerConfig: { eos_token: { content: 'z' } }, tokenizer: { model: { vocab: { z: 9 } } } }, [9]],
    [{ tokenizerConfig: { eos_token: 'z' }, tokenizer: { model: { vocab: [['z', 1]] } } }, []],
  ])('of %j are %j', (files, tokens) => {
    const { generation, notes } = of(files as TextFiles);
    expect(generation.eosTokens).toEqual(tokens);
    expect(notes.some((note) => note.includes('--eos'))).toBe(tokens.length === 0);
  });
});

describe('the chat template', () => {
  it.each([
    [{ tokenizerConfig: { chat_template: 'a' } }, 'a'],
    [{ template: 'b', tokenizerConfig: { chat_template: 'a' } }, 'b'],
    [
      {
        tokenizerConfig: {
          chat_template: [
            { name: 'tool_use', template: 't' },
            { name: 'default', template: 'd' },
          ],
        },
      },
      'd',
    ],
    [{ tokenizerConfig: { chat_template: [{ name: 'only', template: 'o' }] } }, 'o'],
    [{ tokenizerConfig: { chat_template: { default: 'd' } } }, 'd'],
    [{ templateJson: { chat_template: 'p' } }, 'p'],
    [{ tokenizerConfig: { chat_template: 7 } }, undefined],
    [{}, undefined],
  ])('of %j is %j', (files, template) => {
    expect(of(files as TextFiles).text.chatTemplate).toBe(template);
  });

  it('is left out, with a note, when no package takes it', () => {
    const { text, notes } = of({ template: 'x'.repeat(MAX_TEMPLATE_LENGTH + 1) });
    expect(text.chatTemplate).toBeUndefined();
    expect(notes.join()).toContain('left out');
  });
});

describe('the context', () => {
  it.each([
    [{ config: { max_position_embeddings: 4096 } }, 4096],
    [{ config: { n_ctx: 1024 }, tokenizerConfig: { model_max_length: 512 } }, 1024],
    [{ config: { text_config: { max_position_embeddings: 99 } } }, 99],
    [{ tokenizerConfig: { model_max_length: 512 } }, 512],
    [{ tokenizerConfig: { model_max_length: 1e30 } }, 2048],
    [{ config: { max_position_embeddings: -1 } }, 2048],
  ])('of %j is %i', (files, length) => {
    expect(of(files as TextFiles).text.contextLength).toBe(length);
  });

  it('is shortened by the user, never lengthened, and bounds the answer', () => {
    const config = { max_position_embeddings: 100 };
    expect(of({ config }, { contextLength: 10 })).toMatchObject({
      text: { contextLength: 10 },
      generation: { maxTokens: 10 },
    });
    expect(of({ config }, { contextLength: 1000 }).text.contextLength).toBe(100);
    expect(of({ config, generationConfig: { max_new_tokens: 30 } }).generation.maxTokens).toBe(30);
    expect(of({ config }, { maxTokens: 5 }).generation.maxTokens).toBe(5);
    expect(of({}, { contextLength: 700 })).toMatchObject({
      text: { contextLength: 700 },
      notes: [expect.any(String)],
    });
  });
});

describe('the token that begins a text', () => {
  const template = (type: string, ids: number[]) => ({
    type,
    single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A' } }],
    special_tokens: { '<s>': { id: '<s>', ids, tokens: ['<s>'] } },
  });
  const config = { bos_token_id: 10 };
  it.each([
    [{ config, tokenizerConfig: { add_bos_token: true } }, true],
    [
      {
        config,
        tokenizerConfig: { add_bos_token: false },
        tokenizer: { post_processor: template('T', [10]) },
      },
      false,
    ],
    [{ config, tokenizer: { post_processor: template('TemplateProcessing', [10]) } }, true],
    [{ config, tokenizer: { post_processor: template('TemplateProcessing', [11]) } }, false],
    [
      {
        tokenizerConfig: { bos_token: '<s>' },
        tokenizer: {
          ...added('<s>'),
          post_processor: { type: 'Sequence', processors: [{ type: 'ByteLevel' }, template('T', [])] },
        },
      },
      true,
    ],
    [{ tokenizerConfig: { add_bos_token: true } }, false],
    [{ config, tokenizer: { post_processor: null } }, false],
  ])('%j: %s', (files, adds) => {
    expect(of(files as TextFiles).text.addBos).toBe(adds);
  });
});

describe('recommended sampling', () => {
  it.each([
    [
      { do_sample: true, temperature: 0.7, top_k: 20, top_p: 0.8 },
      { temperature: 0.7, topK: 20, topP: 0.8 },
    ],
    [{ do_sample: true }, { temperature: 1 }],
    [{ temperature: 0.7 }, undefined],
    [{ do_sample: false, repetition_penalty: 1.1 }, { repetitionPenalty: 1.1 }],
    [{ do_sample: true, temperature: 'hot', top_p: 3, min_p: -1, top_k: null }, { temperature: 1 }],
  ])('of %j is %j', (generationConfig, sampling) => {
    expect(of({ generationConfig }).text.sampling).toEqual(sampling);
  });
});

it('takes names of special tokens from every place that has them', () => {
  const files = {
    specialTokensMap: { pad_token: { content: '<pad>' }, additional_special_tokens: ['x'] },
    tokenizerConfig: {
      unk_token: null,
      extra_special_tokens: { image_token: '<image>' },
      model_max_length: 5,
    },
  };
  expect(of(files).text.specialTokens).toEqual({ pad_token: '<pad>', image_token: '<image>' });
});

it.each([undefined, null, 7, 'x', [], [null]])('makes something of files that are %j', (json) => {
  const files = {
    config: json,
    generationConfig: json,
    tokenizer: json,
    tokenizerConfig: json,
    templateJson: json,
  };
  expect(of(files)).toMatchObject({ text: { contextLength: 2048 }, generation: { eosTokens: [] } });
});
