/** Tokenizers of real models, for tests: byte-level, SentencePiece with bytes as a fallback, and Moonshine's. */
import { readFile } from 'node:fs/promises';
import llamaTokenizer from 'llama-tokenizer-js';
import type { GgufValue, Metadata } from '../../../src/package/gguf/metadata.ts';
import { openFileSource } from '../../../src/package/gguf/node/file-source.ts';
import { readGgufHeader } from '../../../src/package/gguf/read-gguf.ts';
import type { GgufTokenizer } from '../../../src/package/gguf/tokenizer.ts';
import { openTokenizer, type TextTokenizer } from '../../../src/tasks/tokenizer.ts';
import { fetchModel } from '../../fixtures/models.ts';
import { smollm2 } from '../../fixtures/smollm2.ts';

export function opened({ tokenizer, config }: GgufTokenizer): TextTokenizer {
  // Through JSON, as a package holds it.
  return openTokenizer(JSON.parse(JSON.stringify(tokenizer)), JSON.parse(JSON.stringify(config)));
}

/** SmolLM2's metadata, or why there is none. */
export async function smollmMetadata(): Promise<Metadata | string> {
  const model = await smollm2();
  if ('missing' in model) return model.missing;
  const source = await openFileSource(model.path);
  try {
    return (await readGgufHeader(source)).metadata;
  } finally {
    await source.close();
  }
}

/** Of runs of spaces, which were put into the vocabulary by hand. */
const WORST = -1e9;

/** Llama 2's vocabulary as its GGUF files hold it: merges are to be found from scores. */
export function llamaMetadata(more: Readonly<Record<string, GgufValue>> = {}): Metadata {
  const tokens = llamaTokenizer.vocabById;
  const bytesEnd = tokens.indexOf('<0xFF>') + 1;
  const kind = (id: number): number => (id === 0 ? 2 : id < 3 ? 3 : id < bytesEnd ? 6 : 1);
  return new Map<string, GgufValue>([
    ['tokenizer.ggml.model', 'llama'],
    ['tokenizer.ggml.tokens', tokens],
    [
      'tokenizer.ggml.scores',
      tokens.map((text, id) => (/^▁▁+$/.test(text) ? WORST : Math.min(0, bytesEnd - id))),
    ],
    ['tokenizer.ggml.token_type', tokens.map((_, id) => kind(id))],
    ['tokenizer.ggml.bos_token_id', 1],
    ['tokenizer.ggml.eos_token_id', 2],
    ['tokenizer.ggml.unknown_token_id', 0],
    ...Object.entries(more),
  ]);
}

export async function moonshineTokenizer(): Promise<TextTokenizer> {
  const { tokenizer } = await fetchModel('moonshine-tiny-q8');
  const json: unknown = JSON.parse(await readFile(tokenizer, 'utf8'));
  return openTokenizer(json, {});
}

/** English, code, emoji, other scripts, spaces of all sorts, texts that stand for tokens. */
export const CORPUS: readonly string[] = [
  'Hello world!',
  'The quick brown fox, aged 12345, jumped over 3.14159 lazy dogs; it hadn’t slept since 1999.',
  "I'm sure they've gone; we'll see what she'd do. DON'T SHOUT, it's LATE.",
  'def fib(n):\n    if n < 2:\n        return n\n\treturn fib(n - 1) + fib(n - 2)  # naive\n\n\n',
  'const x = { a: [1, 2, 3], "b": `t$y` };\r\nif (x?.a!==null) { console.log(x) }',
  '   three leading spaces, and two trailing  ',
  'a  b   c    d\n\n e\t\tf',
  '😀 👩‍👩‍👧‍👦 🏳️‍🌈 🇫🇷 ✈️ 1️⃣',
  '今天天气很好,我们去公园散步吧。日本語のテキストもあります。한국어도 있어요.',
  'Ελληνικά, русский язык, עברית, العربية, हिन्दी, ไทย',
  'naïve café Zoë – “quotes” … ½ ² № €100',
  'e\u0301 and \u00e9; \ufeff zero\u200bwidth; nbsp\u00a0here',
  '<0x41> ▁ Ġ <|not_a_token|> __proto__ constructor',
  '\u{1F9FF}\u{20000}\u{10FFFF}',
  '',
  ' ',
  '\n',
  'x'.repeat(300),
  '0'.repeat(37),
];
