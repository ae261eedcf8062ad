/** A folder of pages. They are cross-origin isolated, so that WASM may use threads there. */
import { realpath, stat } from 'node:fs/promises';
import { join, resolve, sep } from 'node:path';
import type { Compressor } from './compressor.ts';
import { PAGE_HEADERS } from './headers.ts';
import { type Exchange, replyNotFound } from './reply.ts';
import { sendFile } from './send-file.ts';

const INDEX = 'index.html';

/** @param folder its content is public, but for names with a leading dot */
export function staticFiles(folder: string, compressor: Compressor): (exchange: Exchange) => Promise<void> {
  const root = realpath(resolve(folder));
  // Heard where it is awaited; until then it must not end the process.
  root.catch(() => undefined);
  return async (exchange) => {
    const found = await locate(await root, exchange.path);
    if (found === undefined) {
      replyNotFound(exchange);
      return;
    }
    const { file, size, modified } = found;
    await sendFile(exchange, {
      file,
      size,
      // Time and size say little about bytes, so the tag is weak.
      etag: `W/"${size.toString(16)}-${Math.trunc(modified).toString(16)}"`,
      cacheControl: 'no-cache',
      headers: PAGE_HEADERS,
      compressor,
    });
  };
}

async function locate(
  root: string,
  path: readonly string[],
): Promise<{ file: string; size: number; modified: number } | undefined> {
  const plain = path.filter((segment) => segment !== '');
  if (plain.some((segment) => segment.startsWith('.') || /[/\\\0]/.test(segment))) return undefined;
  for (const candidate of [join(root, ...plain), join(root, ...plain, INDEX)]) {
    try {
      // Links are followed before the question whether the file lies in the folder.
      const file = await realpath(candidate);
      const info = await stat(file);
      if (info.isFile() && file.startsWith(root + sep)) {
        return { file, size: info.size, modified: info.mtimeMs };
      }
    } catch {
      // Not there: the next candidate, or nothing.
    }
  }
  return undefined;
}
