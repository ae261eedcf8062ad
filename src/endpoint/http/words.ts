/** `POST /v2/models/{model}/words`: words for clients whose tokenizer is still on its way. */
import {
  encodedAnswer,
  MAX_WORDS_REQUEST_BYTES,
  parseWordsRequest,
  readAnswer,
} from '../../protocol/words-messages.ts';
import type { FarWords } from '../../runtime/words.ts';
import { readBody } from './read-body.ts';
import { type Exchange, replyJson } from './reply.ts';

export async function words(exchange: Exchange, far: FarWords): Promise<void> {
  const { request, response } = exchange;
  const left = new AbortController();
  const gone = (): void => left.abort();
  response.once('close', gone);
  try {
    const asked = parseWordsRequest(await readBody(request, MAX_WORDS_REQUEST_BYTES, left.signal));
    const answer =
      asked.kind === 'encode'
        ? encodedAnswer(await far.encode(asked.text, asked.special))
        : readAnswer(await far.read(asked.tokens));
    replyJson(exchange, answer);
  } finally {
    response.off('close', gone);
  }
}
