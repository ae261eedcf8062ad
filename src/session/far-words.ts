/** Whether the endpoint may be asked for words. */
import { throwIfAborted } from '../errors.ts';
import type { FarWords } from '../runtime/words.ts';
import type { EndpointLink } from './endpoint-link.ts';
import { HeardWords } from './heard-words.ts';
import type { Shared } from './parts.ts';
import { goalFor } from './planning.ts';
import type { Turns } from './turns.ts';
import type { HeldWords, WordsOptions } from './types.ts';

/** Until `letGo` is called nothing is idle, so that nothing is fetched which would be in the way of words. */
export async function holdWords(
  shared: Shared,
  turns: Turns,
  asked: WordsOptions,
): Promise<HeldWords | undefined> {
  const { device, link, parts } = shared;
  // A text is asked for once its prompt is in tokens, a round trip later.
  if (parts.manifest.text !== undefined) turns.announce();
  const rest = turns.hold();
  const far = farWordsFor(shared, asked);
  const heard = new HeardWords();
  // At once: what it is for may begin before it is known whether the tokenizer is here.
  const deafen = far && link?.hearWords((part) => heard.add(part));
  const letGo = (): void => {
    deafen?.();
    rest();
  };
  let isWanted = false;
  try {
    const files = Object.values(parts.manifest.tokenizer ?? {}).filter((file) => file !== undefined);
    // One that is being connected to is asked meanwhile, for the request will wait for it as well.
    isWanted = far !== undefined && !(await device.has(files)) && link?.state !== 'down';
  } finally {
    if (!isWanted) letGo();
  }
  return far && isWanted ? { encode: encodeVia(link, far), read: heard.orAsked(far.read), letGo } : undefined;
}

/**
 * By the connection that the request takes next, where that is there: 8 to 10 ms sooner than a question over HTTP, and
 * nothing depends on whether the browser has a connection to use again. Over HTTP where it is not there, or where the
 * endpoint does not know the question.
 */
function encodeVia(link: EndpointLink | undefined, far: FarWords): FarWords['encode'] {
  return async (text, special, signal) => {
    if (link?.state !== 'up') return far.encode(text, special, signal);
    try {
      return await link.encode(text, special, signal);
    } catch {
      throwIfAborted(signal);
      return far.encode(text, special, signal);
    }
  };
}

/**
 * Only where the tokenizer is not here, on a first visit: then the endpoint would be sent all tokens of the request
 * anyway, and tells what they are sooner than the tokenizer comes. Undefined as well for who lets no content or no more
 * than so many bytes leave, and for plans that are not the endpoint's alone.
 */
function farWordsFor({ parts, options, link }: Shared, asked: WordsOptions): FarWords | undefined {
  const plan = asked.plan ?? options.plan ?? 'auto';
  if (link === undefined || (plan !== 'auto' && plan !== 'remote')) return undefined;
  const goal = goalFor(options, asked);
  if (goal.isPrivate || goal.mode === 'only-device' || goal.maxBytesUp < Infinity) return undefined;
  return parts.farWords;
}
