/** A package that lies in a folder. */
import { createHash } from 'node:crypto';
import { type FileHandle, open, readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { IsthmusError, isIsthmusError, throwIfAborted } from '../../errors.ts';
import type { LoadOptions, PackageSource } from '../../runtime/runner.ts';
import { MANIFEST_FILE, type Manifest, type PackageFile } from '../manifest.ts';
import { MAX_MANIFEST_BYTES } from '../manifest-limits.ts';
import { parseManifest } from '../parse-manifest.ts';
import { fileOf } from '../source.ts';

/** Large enough for the disk's full speed, small enough that hashing a piece holds up no request. */
const PIECE_BYTES = 2 ** 20;

export interface OpenedPackage {
  /** Absolute. */
  readonly dir: string;
  readonly manifest: Manifest;
  /**
   * Verifies each file when it is first read. Throws `missing-shard` (not in the manifest, or not on
   * the disk), `bad-shard` (another length or hash), `storage-failed` (unreadable), `aborted`.
   */
  readonly source: PackageSource;
}

/** Throws `bad-package` when the folder holds no readable manifest, `limit-exceeded`. */
export async function openPackage(dir: string): Promise<OpenedPackage> {
  const root = resolve(dir);
  const manifest = parseManifest(await readManifest(join(root, MANIFEST_FILE)));
  const verified = new Set<string>();
  return {
    dir: root,
    manifest,
    source: {
      async read(path, options = {}) {
        const file = fileOf(manifest, path);
        const { bytes, sha256 } = await readWhole(join(root, path), path, file, !verified.has(path), options);
        if (sha256 !== undefined && sha256 !== file.sha256) {
          throw new IsthmusError('bad-shard', `${path} does not match its hash; import the model again`, {
            details: { path, expected: file.sha256, got: sha256 },
          });
        }
        verified.add(path);
        return bytes;
      },
    },
  };
}

async function readManifest(path: string): Promise<Uint8Array> {
  try {
    // Looked at before it is read: a bound that is checked afterwards protects nothing.
    const { size } = await stat(path);
    if (size > MAX_MANIFEST_BYTES) {
      throw new IsthmusError('limit-exceeded', `${path} exceeds ${MAX_MANIFEST_BYTES} bytes`, {
        details: { path: '$', got: size, bound: MAX_MANIFEST_BYTES },
      });
    }
    return await readFile(path);
  } catch (cause) {
    if (isIsthmusError(cause)) throw cause;
    throw new IsthmusError('bad-package', `there is no package manifest at ${path}`, { cause });
  }
}

async function readWhole(
  absolute: string,
  path: string,
  file: PackageFile,
  verify: boolean,
  { signal, onProgress }: LoadOptions,
): Promise<{ bytes: Uint8Array<ArrayBuffer>; sha256: string | undefined }> {
  throwIfAborted(signal);
  let handle: FileHandle | undefined;
  try {
    handle = await open(absolute, 'r');
    const { size } = await handle.stat();
    if (size !== file.bytes) throw wrongLength(path, file.bytes, size);
    const bytes = new Uint8Array(file.bytes);
    const hash = verify ? createHash('sha256') : undefined;
    for (let at = 0; at < bytes.byteLength; ) {
      throwIfAborted(signal);
      const { bytesRead } = await handle.read(bytes, at, Math.min(PIECE_BYTES, bytes.byteLength - at), at);
      if (bytesRead === 0) throw wrongLength(path, file.bytes, at);
      hash?.update(bytes.subarray(at, at + bytesRead));
      at += bytesRead;
      onProgress?.(at, bytes.byteLength);
    }
    return { bytes, sha256: hash?.digest('hex') };
  } catch (cause) {
    if (isIsthmusError(cause)) throw cause;
    if (cause instanceof Error && 'code' in cause && (cause.code === 'ENOENT' || cause.code === 'ENOTDIR')) {
      throw new IsthmusError('missing-shard', `the package has no file ${path}`, {
        details: { path },
        cause,
      });
    }
    throw new IsthmusError('storage-failed', `${path} cannot be read`, { details: { path }, cause });
  } finally {
    await handle?.close();
  }
}

function wrongLength(path: string, expected: number, got: number): IsthmusError {
  return new IsthmusError('bad-shard', `${path} has ${got} bytes, not ${expected}; import the model again`, {
    details: { path, expected, got },
  });
}
