/** Byte ranges of HTTP (RFC 9110, section 14), as far as one range goes. Pure. */

export type ByteRange =
  /** No range, or one that may be ignored: send the whole. */
  | { readonly kind: 'whole' }
  /** Bytes `[start, end)`. */
  | { readonly kind: 'part'; readonly start: number; readonly end: number }
  | { readonly kind: 'unsatisfiable' };

const WHOLE: ByteRange = { kind: 'whole' };

/**
 * @param header value of `Range`; several ranges and units other than bytes are ignored, as the RFC allows
 * @param size bytes of the whole
 */
export function parseRange(header: string | undefined, size: number): ByteRange {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header?.trim() ?? '');
  const [, first = '', last = ''] = match ?? [];
  if (first === '' && last === '') return WHOLE;
  if (first === '') {
    const length = Math.min(Number(last), size);
    return length === 0 ? { kind: 'unsatisfiable' } : { kind: 'part', start: size - length, end: size };
  }
  const start = Number(first);
  const end = last === '' ? size : Math.min(Number(last) + 1, size);
  // An end before the start is a malformed range, which is ignored; a start beyond the end is not.
  if (last !== '' && Number(last) < start) return WHOLE;
  return start >= size ? { kind: 'unsatisfiable' } : { kind: 'part', start, end };
}

/** Whether `Range` applies under `If-Range`: only for the very bytes that the client has begun. */
export function rangeApplies(ifRange: string | undefined, etag: string): boolean {
  // Dates and weak tags say too little about bytes.
  return ifRange === undefined || (ifRange === etag && !etag.startsWith('W/'));
}

/** `If-None-Match` compares weakly. */
export function isNotModified(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  if (ifNoneMatch.trim() === '*') return true;
  const opaque = (tag: string): string => tag.trim().replace(/^W\//, '');
  return ifNoneMatch.split(',').some((tag) => opaque(tag) === opaque(etag));
}
