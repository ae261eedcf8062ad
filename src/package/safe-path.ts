/**
 * Which file names a package may use. They are joined to a URL and to a folder, so the alphabet is an
 * allow-list: nothing in it can leave the folder (`..`, `/x`, `C:`, `\`), change the URL (`:`, `?`,
 * `#`, `%`), hide (a leading dot) or mean something else on another file system.
 */

import { MANIFEST_FILE } from './manifest.ts';
import { MAX_PATH_LENGTH } from './manifest-limits.ts';

/** Letters, digits and `_ . + @ = -`, starting with a letter, digit or `_`, not ending with a dot. */
const SEGMENT = /^[A-Za-z0-9_](?:[A-Za-z0-9_.+@=-]*[A-Za-z0-9_+@=-])?$/;

/** Why `path` may not name a file of a package, or `undefined` when it may. */
export function unsafePathReason(path: string): string | undefined {
  if (path === '') return 'is empty';
  if (path.length > MAX_PATH_LENGTH) return `is longer than ${MAX_PATH_LENGTH} characters`;
  if (!path.split('/').every((segment) => SEGMENT.test(segment))) return 'is not a plain relative path';
  if (path.toLowerCase() === MANIFEST_FILE) return 'is the manifest itself';
  // A lookup of a file that is not named must not find what every object inherits.
  if (path in {}) return 'is a reserved name';
  return undefined;
}

/**
 * The first path that another one makes impossible on some file system: equal but for case, or a
 * file where the other needs a folder.
 */
export function clashingPath(paths: readonly string[]): string | undefined {
  const files = new Set(paths.map((path) => path.toLowerCase()));
  const seen = new Set<string>();
  for (const path of paths) {
    const lower = path.toLowerCase();
    if (seen.has(lower)) return path;
    seen.add(lower);
    for (let slash = lower.indexOf('/'); slash >= 0; slash = lower.indexOf('/', slash + 1)) {
      if (files.has(lower.slice(0, slash))) return path;
    }
  }
  return undefined;
}
