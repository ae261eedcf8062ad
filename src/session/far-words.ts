/** Whether the endpoint may be asked for words. */
import type { FarWords } from '../runtime/words.ts';
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
  // A text is asked for once its prompt is in tokens, a round trip later.
  if (shared.parts.manifest.text !== undefined) turns.announce();
  const letGo = turns.hold();
  let far: FarWords | undefined;
  try {
    far = await farWordsFor(shared, asked);
  } finally {
    if (far === undefined) letGo();
  }
  return far && { ...far, letGo };
}

/**
 * Only where the tokenizer is not here, on a first visit: then the endpoint would be sent all tokens of the request
 * anyway, and tells what they are sooner than the tokenizer comes. Undefined as well for who lets no content or no more
 * than so many bytes leave, and for plans that are not the endpoint's alone.
 */
async function farWordsFor(shared: Shared, asked: WordsOptions): Promise<FarWords | undefined> {
  const { parts, options, device, link } = shared;
  const { farWords, manifest } = parts;
  const plan = asked.plan ?? options.plan ?? 'auto';
  if (farWords === undefined || link === undefined) return undefined;
  if (plan !== 'auto' && plan !== 'remote') return undefined;
  const goal = goalFor(options, asked);
  if (goal.isPrivate || goal.mode === 'only-device' || goal.maxBytesUp < Infinity) return undefined;
  const files = Object.values(manifest.tokenizer ?? {}).filter((file) => file !== undefined);
  // One that is being connected to is asked meanwhile, for the request will wait for it as well.
  return (await device.has(files)) || link.state === 'down' ? undefined : farWords;
}
