/** Requests whose tokens are on their way while what reads them is, too. */
import { isIsthmusError } from '../errors.ts';
import type { Session, WordsOptions } from '../session/types.ts';
import { readerOf } from './session-words.ts';
import type { TokenDecoder } from './token-reader.ts';
import { ToldReader } from './told-reader.ts';

export type Reading = ReturnType<typeof whileReading>;

/**
 * The way of tokens into text, which comes while the first tokens are made: the endpoint tells, on a first visit, and the
 * tokenizer comes behind that; else on a slow line that is seconds. Where it cannot be read, what runs meanwhile is
 * aborted, and fails with that; where it cannot be reached, what runs fails by itself or with that.
 */
export function whileReading(session: Session, outer: AbortSignal | undefined, asked: WordsOptions) {
  const failed = new AbortController();
  const signal = outer === undefined ? failed.signal : AbortSignal.any([outer, failed.signal]);
  const reading: { decoder: TokenDecoder | undefined; error?: unknown } = { decoder: undefined };
  let letGo: () => void = () => undefined;
  const open = async (): Promise<TokenDecoder> => {
    const far = await session.farWords?.(asked);
    letGo = far?.letGo ?? letGo;
    const local = (): ReturnType<typeof readerOf> => readerOf(session);
    return far === undefined ? local() : new ToldReader(far, local, signal);
  };
  const done = open().then((decoder) => {
    reading.decoder = decoder;
    return decoder;
  });
  done.catch((error: unknown) => {
    // Who cannot reach it may not reach what the request needs either, and that says more; see `of` for who can.
    if (isIsthmusError(error) && error.code === 'endpoint-lost') return;
    reading.error = error;
    failed.abort();
  });
  /** Resolves when all of these can be read. */
  const of = async (tokens: readonly number[]): Promise<TokenDecoder> => {
    const decoder = await done;
    if (decoder instanceof ToldReader) await decoder.learn(tokens);
    return decoder;
  };
  return {
    of,
    /** Calls as soon as these can be read, or not at all where the tokenizer is still on its way. */
    hear(tokens: readonly number[], say: (decoder: TokenDecoder) => void): void {
      const { decoder } = reading;
      if (decoder === undefined) return;
      if (!(decoder instanceof ToldReader) || decoder.knows(tokens)) say(decoder);
      // Told by the piece's end, which reads all of them.
      else of(tokens).then(say, () => undefined);
    },
    signal,
    /** Nothing more will be read. */
    over(): void {
      done.then(
        (decoder) => {
          letGo();
          // For the next request: who told was asked in its place.
          if (decoder instanceof ToldReader) decoder.useLocal().catch(() => undefined);
        },
        () => undefined,
      );
    },
    orFailed: <T>(running: Promise<T>): Promise<T> =>
      running.catch((error: unknown) => {
        throw failed.signal.aborted ? reading.error : error;
      }),
  };
}
