/**
 * Writes a package as a whole or not at all: into a folder beside the target, which takes its place
 * by renames once every file is there and verified.
 */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { IsthmusError, isIsthmusError } from '../../errors.ts';
import { MANIFEST_FILE, MANIFEST_FORMAT, type Manifest } from '../manifest.ts';
import { parseManifest } from '../parse-manifest.ts';
import { fileOf } from '../source.ts';

/** Path in the package and content; each file of the manifest once, in any order. */
export type PackageFiles =
  | Iterable<readonly [path: string, bytes: Uint8Array]>
  | AsyncIterable<readonly [path: string, bytes: Uint8Array]>;

/**
 * Writes `manifest` and `files` to the folder `dir` (made with its parents), replacing an older
 * package there. Files are taken one at a time, so a generator never holds more than one.
 *
 * Throws `bad-option` when `dir` is something else than a package or an empty folder (nothing is
 * touched), `bad-package` or `limit-exceeded` for the manifest, `bad-shard` for content that differs
 * from it, `missing-shard` for a file that only one of the two names, `storage-failed` for the disk.
 */
export async function writePackage(dir: string, manifest: Manifest, files: PackageFiles): Promise<void> {
  const text = `${JSON.stringify(manifest, null, 1)}\n`;
  // What is written is checked as a reader will: a package that nobody can open is worth nothing.
  const checked = parseManifest(text);
  const target = resolve(dir);
  const beside = join(dirname(target), `.${basename(target)}-${randomUUID()}`);
  try {
    const present = await inspect(target);
    await mkdir(beside, { recursive: true });
    await writeFiles(beside, checked, files);
    await writeFile(join(beside, MANIFEST_FILE), text, { flag: 'wx' });
    await takePlace(beside, target, present);
  } catch (cause) {
    if (isIsthmusError(cause)) throw cause;
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
    if (code === undefined) throw cause;
    throw new IsthmusError('storage-failed', `writing the package failed: ${String(cause)}`, {
      details: { reason: code },
      cause,
    });
  } finally {
    await rm(beside, { recursive: true, force: true });
  }
}

async function writeFiles(folder: string, manifest: Manifest, files: PackageFiles): Promise<void> {
  const missing = new Set(Object.keys(manifest.files));
  for await (const [path, bytes] of files) {
    const file = fileOf(manifest, path);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    if (bytes.byteLength !== file.bytes || sha256 !== file.sha256) {
      throw new IsthmusError('bad-shard', `${path} is not what the manifest says`, {
        details: { path, expected: file, got: { sha256, bytes: bytes.byteLength } },
      });
    }
    // Given twice it is the same content; written once.
    if (!missing.delete(path)) continue;
    const absolute = join(folder, path);
    await mkdir(dirname(absolute), { recursive: true });
    await writeFile(absolute, bytes, { flag: 'wx' });
  }
  const [path] = missing;
  if (path === undefined) return;
  throw new IsthmusError('missing-shard', `${missing.size} files were not given, ${path} among them`, {
    details: { path, missing: missing.size },
  });
}

/**
 * Whether a package may be written to `dir`: call it before long work.
 * Throws `bad-option` when something else than a package is there.
 */
export async function checkTarget(dir: string): Promise<void> {
  await inspect(resolve(dir));
}

type Present = 'nothing' | 'empty' | 'package';

async function inspect(target: string): Promise<Present> {
  let names: string[];
  try {
    names = await readdir(target);
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return 'nothing';
    throw new IsthmusError('bad-option', `${target} is not a folder that can be written to`, { cause });
  }
  if (names.length === 0) return 'empty';
  if (names.includes(MANIFEST_FILE) && (await isPackage(join(target, MANIFEST_FILE)))) return 'package';
  throw new IsthmusError(
    'bad-option',
    `${target} holds something else than a package; choose another folder`,
    {
      details: { dir: target },
    },
  );
}

/** Of any version: an import replaces older ones. */
async function isPackage(path: string): Promise<boolean> {
  try {
    const json: unknown = JSON.parse(await readFile(path, 'utf8'));
    return typeof json === 'object' && json !== null && 'format' in json && json.format === MANIFEST_FORMAT;
  } catch {
    return false;
  }
}

/** The old package is moved aside, not deleted, until the new one stands; a failure puts it back. */
async function takePlace(beside: string, target: string, present: Present): Promise<void> {
  if (present === 'nothing') return rename(beside, target);
  const aside = `${beside}-old`;
  await rename(target, aside);
  try {
    await rename(beside, target);
  } catch (error) {
    await rename(aside, target);
    throw error;
  }
  await rm(aside, { recursive: true, force: true });
}
