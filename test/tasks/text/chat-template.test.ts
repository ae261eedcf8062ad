/** Chat templates: the real one, those of other families' forms, and hostile ones. */
import { describe, expect, it } from 'vitest';
import { tokenizerFromGguf } from '../../../src/package/gguf/tokenizer.ts';
import { type ChatOptions, MAX_TEMPLATE_LENGTH, renderChat } from '../../../src/tasks/text/chat-template.ts';
import { strftime } from '../../../src/tasks/text/template-clock.ts';
import { MAX_TEXT_LENGTH } from '../../../src/tasks/tokenizer.ts';
import { opened, smollmMetadata } from './real-tokenizers.ts';

const OPTIONS: ChatOptions = {
  specialTokens: { bos_token: '<s>', eos_token: '</s>' },
  addGenerationPrompt: true,
  now: () => new Date(2031, 1, 3, 16, 5, 9),
};
const HELLO = [{ role: 'user', content: 'Hello' }];

const refused = (template: string | undefined, messages: unknown = HELLO) => {
  try {
    return renderChat(template, messages as typeof HELLO, OPTIONS);
  } catch (error) {
    return error;
  }
};

describe('SmolLM2', () => {
  it('is asked as it was trained, and a second turn begins with the first', async (context) => {
    const metadata = await smollmMetadata();
    if (typeof metadata === 'string') return context.skip(metadata);
    const made = tokenizerFromGguf(metadata);
    const options = { ...OPTIONS, specialTokens: made.specialTokens };
    const first = renderChat(made.chatTemplate, HELLO, options);
    expect(first).toMatch(
      /^<\|im_start\|>system\n.*<\|im_end\|>\n<\|im_start\|>user\nHello<\|im_end\|>\n<\|im_start\|>assistant\n$/,
    );
    const told = [...HELLO, { role: 'assistant', content: 'Hi.' }, { role: 'user', content: 'Bye' }];
    const second = renderChat(made.chatTemplate, told, options);
    expect(second.startsWith(`${first}Hi.<|im_end|>\n`)).toBe(true);
    const tokenizer = opened(made);
    const ids = tokenizer.encode(first);
    expect(tokenizer.encode(second).slice(0, ids.length)).toEqual(ids);
  });
});

describe('templates', () => {
  it('see messages, special tokens, the generation prompt and the given time', () => {
    const template =
      "{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m['content'] | trim }}{{ eos_token }}{% endfor %}" +
      "{% if add_generation_prompt %}>{% endif %} {{ strftime_now('%d %b %Y') }}";
    expect(renderChat(template, HELLO, OPTIONS)).toBe('<s>[user] Hello</s>> 03 Feb 2031');
    const plain = { ...OPTIONS, addGenerationPrompt: false };
    expect(renderChat(template, HELLO, plain)).toBe('<s>[user] Hello</s> 03 Feb 2031');
  });

  it('use namespaces, ranges, tests for what is not given, and macros', () => {
    const template =
      '{% set ns = namespace(n=0) %}{% for i in range(1, 7, 2) %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}' +
      '{% if tools is defined and tools %}T{% endif %}{% if none is none and not False %}!{% endif %}' +
      '{% macro twice(x) %}{{ x }}{{ x }}{% endmacro %}{{ twice(messages[-1].content) }}';
    expect(renderChat(template, HELLO, OPTIONS)).toBe('9!HelloHello');
  });

  it('do not run what the user writes', () => {
    const messages = [{ role: 'user', content: '{{ bos_token }}{% raise %}' }];
    expect(renderChat('{{ messages[0].content }}', messages, OPTIONS)).toBe('{{ bos_token }}{% raise %}');
  });

  it('are not in the way of special tokens of their own names', () => {
    const options = {
      ...OPTIONS,
      specialTokens: { messages: 'x', range: 'x', namespace: 'x', unk_token: '?' },
    };
    expect(renderChat('{{ messages[0].content }}{{ unk_token }}', HELLO, options)).toBe('Hello?');
  });
});

describe('what goes wrong', () => {
  it('is told as the template tells it', () => {
    const template = "{% if messages[0].role != 'system' %}{{ raise_exception('System first!') }}{% endif %}";
    expect(refused(template)).toMatchObject({ code: 'bad-input', message: 'System first!' });
  });

  it.each<[string, string | undefined, unknown, string]>([
    ['no template', undefined, HELLO, 'unsupported-model'],
    ['no messages', '{{ bos_token }}', [], 'bad-input'],
    ['messages that are none', '{{ bos_token }}', [{ role: 'user' }], 'bad-input'],
    ['a message that is nothing', '{{ bos_token }}', [null], 'bad-input'],
    ['something else than messages', '{{ bos_token }}', 'Hello', 'bad-input'],
    ['a template that does not parse', '{% for %}', HELLO, 'bad-package'],
    ['a tag left open', '{% if true %}x', HELLO, 'bad-package'],
    ['a filter that does not exist', '{{ messages | frobnicate }}', HELLO, 'bad-input'],
    ['a call of nothing', '{{ nothing() }}', HELLO, 'bad-input'],
    ['too long a template', ' '.repeat(MAX_TEMPLATE_LENGTH + 1), HELLO, 'limit-exceeded'],
    ['a huge range', '{% for i in range(1000000000) %}{% endfor %}', HELLO, 'limit-exceeded'],
    ['a range of no end', '{{ range(0, 5, 0) }}', HELLO, 'limit-exceeded'],
    [
      'loops in loops',
      '{% for i in range(5000) %}{% for j in range(5000) %}{{ i }}{% endfor %}{% endfor %}',
      HELLO,
      'limit-exceeded',
    ],
    [
      'a prompt without end',
      `{% set ns = namespace(x='${'x'.repeat(64)}') %}{% for i in range(18) %}{% set ns.x = ns.x + ns.x %}{% endfor %}{{ ns.x }}`,
      HELLO,
      'input-too-long',
    ],
    [
      'a text beyond any bound',
      "{% set ns = namespace(x='x') %}{% for i in range(90) %}{% set ns.x = ns.x + ns.x %}{% endfor %}{{ ns.x }}",
      HELLO,
      'bad-input',
    ],
    ['a macro that calls itself', '{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}', HELLO, 'bad-input'],
    [
      'a message too long',
      '{{ bos_token }}',
      [{ role: 'u', content: 'x'.repeat(MAX_TEXT_LENGTH + 1) }],
      'input-too-long',
    ],
  ])('%s', (_, template, messages, code) => {
    expect(refused(template, messages)).toMatchObject({ code });
  });
});

describe('strftime', () => {
  it('writes the C locale', () => {
    const date = new Date(2031, 1, 3, 16, 5, 9);
    expect(strftime(date, '%A %a %B %b %d %-d %H %I %M %S %p %m %y %Y %%d %Q')).toBe(
      'Monday Mon February Feb 03 3 16 04 05 09 PM 02 31 2031 %d %Q',
    );
    expect(strftime(new Date(2030, 11, 31, 0, 0), '%I %p %-I')).toBe('12 AM 12');
  });
});
