/** Requests whose tokens are on their way while what reads them is, too. */
import type { Session } from '../session/types.ts';
import { readerOf } from './session-words.ts';
import type { TokenDecoder } from './token-reader.ts';

/**
 * The way of tokens into text, which comes while the first tokens are made: on a slow line that is a second. Where it
 * cannot be had, what runs meanwhile is aborted, and fails with that.
 */
export function whileReading(session: Session, outer: AbortSignal | undefined) {
  const failed = new AbortController();
  const reading: { decoder: TokenDecoder | undefined; error?: unknown } = { decoder: undefined };
  const done = readerOf(session).then((decoder) => {
    reading.decoder = decoder;
    return decoder;
  });
  done.catch((error: unknown) => {
    reading.error = error;
    failed.abort();
  });
  return {
    done,
    get decoder() {
      return reading.decoder;
    },
    signal: outer === undefined ? failed.signal : AbortSignal.any([outer, failed.signal]),
    orFailed: <T>(running: Promise<T>): Promise<T> =>
      running.catch((error: unknown) => {
        throw failed.signal.aborted ? reading.error : error;
      }),
  };
}
