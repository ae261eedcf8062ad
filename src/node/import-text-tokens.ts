/** What a `tokenizer.json` says of special tokens: their ids, and whether every text begins with one. Pure. */
import { count, field, list, text } from './import-text-json.ts';

/** Ids of added tokens by their text; words of the vocabulary are looked up where none is added. */
export function tokenIds(tokenizer: unknown): { get(word: string): number | undefined } {
  const added = new Map<string, number>();
  for (const token of list(field(tokenizer, 'added_tokens'))) {
    const id = count(field(token, 'id'));
    const content = text(field(token, 'content'));
    if (id !== undefined && content !== undefined) added.set(content, id);
  }
  const vocabulary = field(field(tokenizer, 'model'), 'vocab');
  return {
    get(word) {
      if (word === '') return undefined;
      return added.get(word) ?? count(Array.isArray(vocabulary) ? undefined : field(vocabulary, word));
    },
  };
}

/** Whether the post-processor, or one of a sequence of them, puts the token before every text. */
export function beginsWithBos(tokenizer: unknown, bosText: string | undefined, bosToken: number): boolean {
  const processor = field(tokenizer, 'post_processor');
  const parts = field(processor, 'type') === 'Sequence' ? list(field(processor, 'processors')) : [processor];
  return parts.some((part) => {
    const [begin] = list(field(part, 'single'));
    const name = field(field(begin, 'SpecialToken'), 'id');
    if (typeof name !== 'string') return false;
    if (name === bosText) return true;
    const ids = field(field(field(part, 'special_tokens'), name), 'ids');
    return list(ids)[0] === bosToken;
  });
}
