/** What lies in a repository of a hub, pinned to one commit, with the hash of every file. */
import { IsthmusError } from '../../../errors.ts';
import type { HubAccess } from './access.ts';
import { type HubAddress, isPlainPath } from './address.ts';
import { LinkError, strangeAnswer, unreachable } from './hub-errors.ts';
import { ask, type HubAnswer } from './request.ts';

/** A page lists up to 1,000 files in some 300 kB. */
const MAX_JSON_BYTES = 32 * 2 ** 20;

/** The largest model repositories have some thousands of files. */
const MAX_FILES = 50_000;

/** Names offered when one is not found. */
const MAX_NEAR = 8;

export interface ContentHash {
  /** `git-sha1`: of `blob LENGTH\0` and the content, as git names small files. */
  readonly kind: 'sha256' | 'git-sha1';
  /** Lower case. */
  readonly hex: string;
}

export interface HubFile {
  readonly path: string;
  readonly bytes: number;
  readonly hash: ContentHash;
}

export interface HubListing {
  readonly repo: string;
  /** Full hash of the commit that the revision stands for now. */
  readonly commit: string;
  readonly files: readonly HubFile[];
}

/** @throws IsthmusError `bad-option` (unknown, private or gated), `endpoint-failed`, `endpoint-lost`, `aborted` */
export async function listRepository(access: HubAccess, address: HubAddress): Promise<HubListing> {
  const { repo, revision } = address;
  const what = `model ${repo}${revision === 'main' ? '' : ` (revision ${revision})`}`;
  const at = `${access.hub}/api/models/${repo}`;
  const info = await askRepository(access, `${at}/revision/${encodeURIComponent(revision)}`, what, repo);
  const commit = fieldOf(info.json, 'sha');
  if (typeof commit !== 'string' || !/^[0-9a-f]{40}$/.test(commit)) {
    throw strangeAnswer(access, what, 'it names no commit');
  }
  const files: HubFile[] = [];
  const tree = `${at}/tree/${commit}`;
  for (let query: string | undefined = '?recursive=true'; query !== undefined; ) {
    const page = await askJson(access, `${tree}${query}`, what);
    if (!Array.isArray(page.json)) throw strangeAnswer(access, what, 'the list of files is no list');
    for (const entry of page.json) {
      const file = fileOf(entry);
      if (file !== undefined) files.push(file);
    }
    if (files.length > MAX_FILES) throw strangeAnswer(access, what, `more than ${MAX_FILES} files`);
    const next = nextQuery(page.answer.header('link'), tree);
    if (next === query || (next !== undefined && page.json.length === 0)) break;
    query = next;
  }
  return { repo, commit, files };
}

/** A repository that is not there is most often one misspelt. */
async function askRepository(access: HubAccess, url: string, what: string, repo: string) {
  try {
    return await askJson(access, url, what);
  } catch (error) {
    if (!(error instanceof IsthmusError)) throw error;
    const { status, hubCode } = error.details;
    if ((status !== 404 && status !== 401) || hubCode === 'GatedRepo' || hubCode === 'RevisionNotFound')
      throw error;
    const near = await nearRepositories(access, repo);
    if (near.length === 0) throw error;
    const { hint } = error.details;
    throw new IsthmusError(error.code, error.message, {
      details: { ...error.details, near, hint: `did you mean ${near.join(', ')}? Or ${String(hint)}` },
      cause: error,
    });
  }
}

async function nearRepositories(access: HubAccess, repo: string): Promise<string[]> {
  const [, name = repo] = repo.split('/');
  const query = new URLSearchParams({ search: name, limit: String(MAX_NEAR) });
  try {
    const { json } = await askJson(access, `${access.hub}/api/models?${query.toString()}`, 'near names');
    const found = Array.isArray(json) ? json.map((entry: unknown) => fieldOf(entry, 'id')) : [];
    return found
      .filter((id): id is string => typeof id === 'string' && /^[\w.-]+\/[\w.-]+$/.test(id))
      .slice(0, MAX_NEAR);
  } catch {
    // Only a courtesy: the refusal itself is what counts.
    return [];
  }
}

function fileOf(entry: unknown): HubFile | undefined {
  const path = fieldOf(entry, 'path');
  if (fieldOf(entry, 'type') !== 'file' || typeof path !== 'string' || !isPlainPath(path)) return undefined;
  const lfs = fieldOf(entry, 'lfs');
  const large = typeof lfs === 'object' && lfs !== null;
  const hex = fieldOf(large ? lfs : entry, 'oid');
  const bytes = fieldOf(large ? lfs : entry, 'size');
  const kind = large ? 'sha256' : 'git-sha1';
  if (typeof bytes !== 'number' || !Number.isSafeInteger(bytes) || bytes < 0) return undefined;
  if (typeof hex !== 'string' || !(large ? /^[0-9a-f]{64}$/ : /^[0-9a-f]{40}$/).test(hex)) return undefined;
  return { path, bytes, hash: { kind, hex } };
}

/** Of the page that a `Link: <url>; rel="next"` names only the query counts: mirrors pass on foreign hosts. */
function nextQuery(link: string | null, base: string): string | undefined {
  const target = link === null ? undefined : /<([^>]*)>\s*;[^,]*rel="?next"?/.exec(link)?.[1];
  if (target === undefined || !URL.canParse(target, base)) return undefined;
  return new URL(target, base).search;
}

async function askJson(access: HubAccess, url: string, what: string) {
  const answer = await ask(access, url, what, { accept: 'application/json' });
  const text = await textOf(access, answer, what);
  try {
    return { answer, json: JSON.parse(text) as unknown };
  } catch {
    throw strangeAnswer(access, what, 'it is not JSON');
  }
}

async function textOf(access: HubAccess, answer: HubAnswer, what: string): Promise<string> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const piece of answer.body()) {
      bytes += piece.byteLength;
      if (bytes > MAX_JSON_BYTES)
        throw strangeAnswer(access, what, `it is longer than ${MAX_JSON_BYTES} bytes`);
      pieces.push(piece);
    }
  } catch (error) {
    throw error instanceof LinkError ? unreachable(access, what, error) : error;
  }
  return Buffer.concat(pieces).toString('utf8');
}

function fieldOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Readonly<Record<string, unknown>>)[name];
}
