/** The words of a session: those of whichever runner it has, also when one has died. */
import { IsthmusError } from '../errors.ts';
import type { Words } from '../runtime/words.ts';
import type { DeviceSide } from './device-side.ts';

/** Undefined where runners have no thread of their own. `checkOpen` throws when the session is closed. */
export function deviceWords(device: DeviceSide, checkOpen: () => void): Words | undefined {
  if (device.runner.words === undefined) return undefined;
  const ask = async <T>(work: (words: Words) => Promise<T>): Promise<T> => {
    checkOpen();
    return device.use(async ({ words }) => {
      if (words === undefined) throw new IsthmusError('internal', 'a runner without words took over');
      return work(words);
    });
  };
  return {
    lexicon: () => ask((words) => words.lexicon()),
    encode: (text, special) => ask((words) => words.encode(text, special)),
    chat: (messages) => ask((words) => words.chat(messages)),
  };
}
