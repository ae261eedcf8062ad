/** Brings one file of a repository here: what is there already, the rest by range, all of it verified. */
import { IsthmusError, isIsthmusError, throwIfAborted } from '../../../errors.ts';
import type { HubAccess } from './access.ts';
import { urlPath } from './address.ts';
import { isKept, place } from './cache.ts';
import { LinkError, strangeAnswer, unreachable } from './hub-errors.ts';
import type { HubFile, HubListing } from './listing.ts';
import { openPartial, type PartialFile, strongTag } from './partial-file.ts';
import { ask, type HubAnswer } from './request.ts';

/** Broken connections in a row that brought nothing, after which the user is told. */
const MAX_IDLE_BREAKS = 4;
/** And in all: a server that cuts every connection after some bytes gets no further. */
const MAX_BREAKS = 64;
const FIRST_PAUSE_MS = 500;

export interface FileTask {
  readonly access: HubAccess;
  /** Folder of the cache. */
  readonly cache: string;
  readonly listing: HubListing;
  readonly file: HubFile;
  /** Bytes that are here; falls when they prove wrong or the server begins again. */
  readonly onBytes?: (here: number) => void;
}

/**
 * Path of the file in the cache's snapshot, verified. Nothing is asked of the hub when it is there.
 * @throws IsthmusError `bad-shard` (other bytes than the hub's hash says), `endpoint-lost` and
 *   `endpoint-failed` (what came is kept), `bad-option` (gated), `storage-failed`, `aborted`
 */
export async function bringFile(task: FileTask): Promise<string> {
  const { cache, listing, file } = task;
  if (!(await isKept(cache, file))) {
    const partial = await openPartial(cache, file);
    try {
      await complete(task, partial);
    } finally {
      await partial.close();
    }
    await partial.finish();
  }
  task.onBytes?.(file.bytes);
  return place(cache, listing, file);
}

async function complete(task: FileTask, partial: PartialFile): Promise<void> {
  const { file } = task;
  // Bytes of an earlier visit may be wrong where the server is right; bytes that all came now are not.
  const resumed = partial.length > 0;
  for (const again of resumed ? [true, false] : [false]) {
    await extend(task, partial, file.bytes);
    if (await partial.verify()) return;
    await partial.restart(undefined);
    task.onBytes?.(0);
    if (again) task.access.notice(`${file.path}: what was kept of it proved wrong; starting over`);
  }
  throw new IsthmusError('bad-shard', `the bytes of ${file.path} do not match the hub's ${file.hash.kind}`, {
    details: {
      path: file.path,
      expected: file.hash.hex,
      hint: 'the download was damaged on its way and was dropped; try again',
    },
  });
}

/** Goes on until `until` bytes are there, over broken connections. */
export async function extend(task: FileTask, partial: PartialFile, until: number): Promise<void> {
  const { access, file } = task;
  let idle = 0;
  for (let breaks = 0; partial.length < until; breaks += 1) {
    const before = partial.length;
    try {
      await receive(task, partial, until);
      continue;
    } catch (error) {
      throwIfAborted(access.signal);
      const broken = error instanceof LinkError || (isIsthmusError(error) && error.code === 'endpoint-lost');
      idle = partial.length > before ? 0 : idle + 1;
      if (!broken) throw error;
      if (idle > MAX_IDLE_BREAKS || breaks >= MAX_BREAKS) {
        throw error instanceof LinkError ? unreachable(access, file.path, error) : error;
      }
      access.notice(
        `${file.path}: the connection broke at ${partial.length} of ${file.bytes} bytes; going on`,
      );
    }
    await access.wait(FIRST_PAUSE_MS * 2 ** idle);
  }
}

async function receive(task: FileTask, partial: PartialFile, until: number): Promise<void> {
  const { access, listing, file } = task;
  const url = `${access.hub}/${listing.repo}/resolve/${listing.commit}/${urlPath(file.path)}`;
  const from = partial.length;
  const whole = until === file.bytes;
  const answer = await ask(access, url, file.path, {
    ...((from > 0 || !whole) && { range: `bytes=${from}-${whole ? '' : until - 1}` }),
    ...(from > 0 && partial.tag !== undefined && { 'if-range': partial.tag }),
  });
  try {
    checkIdentity(access, file, answer);
    if (!(await begin(access, file, partial, answer))) return;
    for await (const piece of answer.body()) {
      if (partial.length + piece.byteLength > file.bytes) {
        throw strangeAnswer(access, file.path, `it is longer than the ${file.bytes} bytes announced`);
      }
      await partial.append(piece);
      task.onBytes?.(partial.length);
      throwIfAborted(access.signal);
      if (partial.length >= until) return;
    }
    throw new LinkError('the connection was cut off');
  } finally {
    answer.close();
  }
}

/** The hub names the content again where it redirects; a commit's file cannot become another one. */
function checkIdentity(access: HubAccess, file: HubFile, answer: HubAnswer): void {
  const tag = answer.header('x-linked-etag')?.replace(/^W\/|"/g, '');
  const size = answer.header('x-linked-size');
  const other =
    tag !== undefined && /^[0-9a-f]{64}$/.test(tag) && file.hash.kind === 'sha256' && tag !== file.hash.hex;
  if (other || (size !== null && Number(size) !== file.bytes)) {
    throw strangeAnswer(access, file.path, 'it offers other content than it listed');
  }
}

/** Sets the partial file to where the body begins. False when the answer is of no use and must be asked again. */
async function begin(
  access: HubAccess,
  file: HubFile,
  partial: PartialFile,
  answer: HubAnswer,
): Promise<boolean> {
  const tag = strongTag(answer.etag);
  if (answer.status === 206) {
    const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(answer.header('content-range') ?? '');
    if (range === null || Number(range[1]) !== partial.length) {
      throw strangeAnswer(access, file.path, 'it sends another range than was asked for');
    }
    if (range[2] !== '*' && Number(range[2]) !== file.bytes) {
      throw strangeAnswer(access, file.path, `it has ${String(range[2])} bytes and not ${file.bytes}`);
    }
    // A server that ignores If-Range, and another object behind it: the halves would not fit.
    const changed =
      partial.length > 0 && partial.tag !== undefined && tag !== undefined && tag !== partial.tag;
    if (changed || partial.length === 0) await partial.restart(tag);
    return !changed;
  }
  if (answer.status === 416) {
    if (partial.length === 0) throw strangeAnswer(access, file.path, 'it refuses the range from 0');
    await partial.restart(undefined);
    return false;
  }
  const length = answer.header('content-length');
  if (length !== null && Number(length) !== file.bytes) {
    throw strangeAnswer(access, file.path, `it has ${length} bytes and not ${file.bytes}`);
  }
  // No ranges there, or another object than the bytes here came from.
  await partial.restart(tag);
  return true;
}
