/** Whether something that was built must be built again. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

async function newest(path) {
  const found = await stat(path);
  if (!found.isDirectory()) return found.mtimeMs;
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const times = await Promise.all(
    files.map(async (entry) => (await stat(join(entry.parentPath, entry.name))).mtimeMs),
  );
  return Math.max(0, ...times);
}

/**
 * True where `output` is absent or older than any source; a source that is a folder counts as the
 * newest file in it. Rejects for a source that does not exist.
 *
 * @param {string} output
 * @param {readonly string[]} sources
 */
export async function isStale(output, sources) {
  const built = await stat(output).catch(() => undefined);
  const times = await Promise.all(sources.map(newest));
  return built === undefined || times.some((time) => time > built.mtimeMs);
}
