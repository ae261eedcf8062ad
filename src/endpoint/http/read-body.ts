/** A request's body, bounded while it arrives. */
import type { IncomingMessage } from 'node:http';
import { IsthmusError } from '../../errors.ts';

/**
 * Throws `limit-exceeded` as soon as the body is known to be longer than `limit` bytes, and `aborted`
 * when the client leaves or the signal fires. The socket stays open, for the answer.
 */
export async function readBody(
  request: IncomingMessage,
  limit: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  if (Number(request.headers['content-length'] ?? 0) > limit) throw tooLong(limit);
  const chunks: Buffer[] = [];
  let length = 0;
  let release = (): void => undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      const onData = (chunk: Buffer): void => {
        length += chunk.byteLength;
        if (length > limit) reject(tooLong(limit));
        else chunks.push(chunk);
      };
      const onAbort = (): void => reject(new IsthmusError('aborted', 'the request ended before its body'));
      release = () => {
        request.off('data', onData);
        signal.removeEventListener('abort', onAbort);
      };
      request.on('data', onData).once('end', resolve).once('error', onAbort).once('close', onAbort);
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort, { once: true });
    });
  } finally {
    release();
  }
  // A buffer of its own: aligned, and not a part of Node's shared pool.
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return bytes;
}

function tooLong(limit: number): IsthmusError {
  return new IsthmusError('limit-exceeded', `the body is longer than ${limit} bytes`, {
    details: { what: 'bytes of a body', limit },
  });
}
