/** `/packages/`: the packages that are served, for clients that run blocks themselves. */
import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { resolve, sep } from 'node:path';
import { IsthmusError } from '../../errors.ts';
import { MANIFEST_FILE, type Manifest, type PackageFile } from '../../package/manifest.ts';
import { JSON_CONTENT_TYPE } from '../../protocol/infer-body.ts';
import type { FarWords } from '../../runtime/words.ts';
import type { Metrics } from '../metrics.ts';
import type { Compressor } from './compressor.ts';
import { codingOf, isCompressible } from './content-coding.ts';
import { isNotModified } from './range.ts';
import { type Exchange, reply, replyError, replyJson } from './reply.ts';
import { sendFile } from './send-file.ts';

export interface ServedPackage {
  readonly manifest: Manifest;
  /** Folder that holds the files. */
  readonly dir: string;
  readonly words?: FarWords;
}

/** A year, the longest that caches honour. Content under a name that is its own hash never changes. */
const FOR_EVER = 'public, max-age=31536000, immutable';
/** To be asked about each time: a new import writes it anew under the same name. */
const ASK_AGAIN = 'no-cache';

/** @returns a handler of paths below `/packages/` */
export function packageFiles(
  packages: ReadonlyMap<string, ServedPackage>,
  metrics: Metrics,
  compressor: Compressor,
): (exchange: Exchange, name: string, path: string) => Promise<void> {
  const manifests = new Map([...packages].map(([name, { manifest }]) => [name, manifestReply(manifest)]));
  return async (exchange, name, path) => {
    const served = packages.get(name);
    const manifest = manifests.get(name);
    if (name === '' && path === '') {
      replyJson(exchange, { packages: [...packages.values()].map(describe) });
    } else if (served === undefined || manifest === undefined) {
      replyError(exchange, new IsthmusError('unknown-model', 'no package of that name is served here'));
    } else if (path === MANIFEST_FILE) {
      await sendManifest(exchange, manifest, compressor);
    } else {
      await sendShard(exchange, served, path, { metrics, compressor });
    }
  };
}

interface ManifestReply {
  readonly body: Uint8Array;
  readonly etag: string;
}

/** What this process runs, not what lies on the disk by now: the two ends must mean the same cuts. */
function manifestReply(manifest: Manifest): ManifestReply {
  const body = Buffer.from(JSON.stringify(manifest));
  return { body, etag: `"${createHash('sha256').update(body).digest('hex')}"` };
}

/** The tag is of the content, whichever form it has, and so is weak. */
async function sendManifest(
  exchange: Exchange,
  { body, etag }: ManifestReply,
  compressor: Compressor,
): Promise<void> {
  const headers = { ETag: `W/${etag}`, 'Cache-Control': ASK_AGAIN, Vary: 'Accept-Encoding' };
  if (isNotModified(exchange.request.headers['if-none-match'], etag)) {
    exchange.response.writeHead(304, headers).end();
    return;
  }
  const accepted = codingOf(exchange.request.headers['accept-encoding']?.toString());
  const coding = isCompressible(MANIFEST_FILE, body.byteLength) ? accepted : undefined;
  if (coding === undefined) {
    reply(exchange, { type: JSON_CONTENT_TYPE, headers, body });
    return;
  }
  const compressed = await compressor.compressed(etag, coding, async () => body);
  const encoded = { ...headers, 'Content-Encoding': coding };
  reply(exchange, { type: JSON_CONTENT_TYPE, headers: encoded, body: compressed });
}

async function sendShard(
  exchange: Exchange,
  { manifest, dir }: ServedPackage,
  path: string,
  { metrics, compressor }: { readonly metrics: Metrics; readonly compressor: Compressor },
): Promise<void> {
  const named = Object.hasOwn(manifest.files, path) ? manifest.files[path] : undefined;
  const file = resolve(dir, path);
  // Names were checked when the manifest was read; a manifest made otherwise must not reach further.
  if (named === undefined || !file.startsWith(resolve(dir) + sep)) {
    replyError(exchange, new IsthmusError('missing-shard', 'the package names no such file'), 404);
    return;
  }
  await checkOnDisk(file, path, named);
  await sendFile(exchange, {
    file,
    size: named.bytes,
    etag: `"${named.sha256}"`,
    cacheControl: path.includes(named.sha256) ? FOR_EVER : ASK_AGAIN,
    compressor,
    onSent: (bytes) => metrics.sent(bytes),
  });
}

async function checkOnDisk(file: string, path: string, { bytes }: PackageFile): Promise<void> {
  const found = await stat(file).catch((cause: unknown) => {
    throw new IsthmusError('missing-shard', `the package's file ${path} is not on the disk`, { cause });
  });
  if (found.size === bytes) return;
  throw new IsthmusError('bad-shard', `${path} has ${found.size} bytes, not ${bytes}`, {
    details: { path, expected: bytes, got: found.size },
  });
}

function describe({ manifest }: ServedPackage): object {
  const { name, blocks, files } = manifest;
  return {
    name,
    manifest: `/packages/${encodeURIComponent(name)}/${MANIFEST_FILE}`,
    blocks: blocks.length,
    bytes: Object.values(files).reduce((sum, file) => sum + file.bytes, 0),
  };
}
