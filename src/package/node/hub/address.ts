/** `hf:ORG/NAME[@REVISION][/path/in/the/repository]`: a model on a hub, as a person writes it. */
import { IsthmusError } from '../../../errors.ts';

export const HUB_SCHEME = 'hf:';
const DEFAULT_REVISION = 'main';

/** Names on the hub: at most 96 characters, of these alone. */
const NAME = /^[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,95})$/;

/** Git refuses these in names of branches and tags; hashes and `refs/pr/1` have none of them. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const NO_REVISION = /[\x00-\x20\x7f~^:?*[\\]|\.\.|^\/|\/$/;

/** Longest path that common file systems take, with room for the folder before it. */
const MAX_PATH = 1024;

export interface HubAddress {
  /** `ORG/NAME` */
  readonly repo: string;
  /** Branch, tag or commit. */
  readonly revision: string;
  /** One file of it. */
  readonly file?: string;
}

export function isHubAddress(text: string): boolean {
  return text.startsWith(HUB_SCHEME);
}

/**
 * A slash within a revision is written `%2F`, because the next plain one begins the file.
 * @throws IsthmusError `bad-option`
 */
export function parseHubAddress(text: string): HubAddress {
  const [org = '', second = '', ...rest] = text.slice(HUB_SCHEME.length).split('/');
  const at = second.indexOf('@');
  const name = at < 0 ? second : second.slice(0, at);
  const revision = at < 0 ? DEFAULT_REVISION : decoded(second.slice(at + 1));
  const file = rest.join('/');
  const bad =
    !isHubAddress(text) ||
    !NAME.test(org) ||
    !NAME.test(name) ||
    revision === undefined ||
    revision === '' ||
    NO_REVISION.test(revision);
  if (bad || (rest.length > 0 && !isPlainPath(file))) {
    throw new IsthmusError('bad-option', `'${text}' is no address on a hub`, {
      details: { hint: 'write hf:ORG/NAME, hf:ORG/NAME@REVISION or hf:ORG/NAME/file.gguf' },
    });
  }
  return { repo: `${org}/${name}`, revision, ...(rest.length > 0 && { file }) };
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/**
 * Whether a path that a hub names may be joined to a folder here: relative, forward slashes, nothing
 * that leaves the folder or that Windows reads as a drive or a stream.
 */
export function isPlainPath(path: string): boolean {
  if (path === '' || path.length > MAX_PATH) return false;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
  if (/[\\:\x00-\x1f\x7f]/.test(path)) return false;
  return path.split('/').every((segment) => segment !== '' && segment !== '.' && segment !== '..');
}

/** As part of a URL: every segment escaped, the slashes kept. */
export function urlPath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}
