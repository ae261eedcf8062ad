/** Headers that every answer has, and those of answers that may be pages. */

type Headers = Readonly<Record<string, string>>;

/**
 * Pages of any origin may use the endpoint: nothing here rests on cookies, so there is nothing that
 * another origin could ride on. `Cross-Origin-Resource-Policy` lets pages that are cross-origin
 * isolated (which threads in WASM need) load from here.
 */
export const COMMON_HEADERS: Headers = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Expose-Headers':
    'Accept-Ranges, Content-Length, Content-Range, ETag, Inference-Header-Content-Length, Retry-After',
  'Cross-Origin-Resource-Policy': 'cross-origin',
  'Timing-Allow-Origin': '*',
  'X-Content-Type-Options': 'nosniff',
};

export const PREFLIGHT_HEADERS: Headers = {
  'Access-Control-Allow-Methods': 'GET, HEAD, POST, OPTIONS',
  'Access-Control-Allow-Headers':
    'Authorization, Content-Type, If-None-Match, If-Range, Inference-Header-Content-Length, Range',
  'Access-Control-Max-Age': '86400',
  // A public page that talks to an endpoint in the same house asks for this.
  'Access-Control-Allow-Private-Network': 'true',
};

/** A page with these is cross-origin isolated and may use threads. */
export const PAGE_HEADERS: Headers = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

const MIME_TYPES: Headers = {
  css: 'text/css; charset=utf-8',
  html: 'text/html; charset=utf-8',
  ico: 'image/x-icon',
  js: 'text/javascript; charset=utf-8',
  json: 'application/json',
  map: 'application/json',
  mjs: 'text/javascript; charset=utf-8',
  png: 'image/png',
  svg: 'image/svg+xml',
  txt: 'text/plain; charset=utf-8',
  wasm: 'application/wasm',
  wav: 'audio/wav',
  webmanifest: 'application/manifest+json',
  woff2: 'font/woff2',
};

export function mimeType(path: string): string {
  const extension = path.slice(path.lastIndexOf('.') + 1).toLowerCase();
  return (Object.hasOwn(MIME_TYPES, extension) && MIME_TYPES[extension]) || 'application/octet-stream';
}
