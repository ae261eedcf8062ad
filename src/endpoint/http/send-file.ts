/** A file as an answer: validators, one range, streamed from the disk; compressed where that makes it smaller. */
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import type { Compressor } from './compressor.ts';
import { type Coding, codingOf, isCompressible } from './content-coding.ts';
import { mimeType } from './headers.ts';
import { isNotModified, parseRange, rangeApplies } from './range.ts';
import { type Exchange, reply } from './reply.ts';

export interface FileReply {
  /** On the disk. */
  readonly file: string;
  readonly size: number;
  /** Quoted, with `W/` where it is weak. */
  readonly etag: string;
  readonly cacheControl: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly compressor: Compressor;
  /** Told of each piece sent. */
  readonly onSent?: (bytes: number) => void;
}

/** Rejects when the file cannot be read; what was sent until then cannot be taken back. */
export async function sendFile(exchange: Exchange, reply: FileReply): Promise<void> {
  const { headers } = exchange.request;
  // A part is one of the file as it is: a client that counts the bytes that it has read knows no others.
  const isPart = headers.range !== undefined;
  const canCompress = isCompressible(reply.file, reply.size);
  const coding = canCompress && !isPart ? codingOf(header(headers['accept-encoding'])) : undefined;
  const varied = canCompress ? { ...reply, headers: { ...reply.headers, Vary: 'Accept-Encoding' } } : reply;
  await (coding === undefined ? sendPlain(exchange, varied) : sendCompressed(exchange, varied, coding));
}

async function sendCompressed(
  exchange: Exchange,
  { file, etag, cacheControl, headers = {}, compressor, onSent }: FileReply,
  coding: Coding,
): Promise<void> {
  const { request, response } = exchange;
  // Other bytes than those of the file, so another tag where it is strong; either says that the content is known.
  const tag = etag.startsWith('W/') ? etag : etag.replace(/"$/, `-${coding}"`);
  const validators = { ...headers, ETag: tag, 'Cache-Control': cacheControl };
  const known = request.headers['if-none-match'];
  if (isNotModified(known, tag) || isNotModified(known, etag)) {
    response.writeHead(304, validators).end();
    return;
  }
  const body = await compressor.compressed(`${file} ${etag}`, coding, () => readFile(file));
  reply(exchange, { type: mimeType(file), headers: { ...validators, 'Content-Encoding': coding }, body });
  if (request.method !== 'HEAD') onSent?.(body.byteLength);
}

async function sendPlain({ request, response }: Exchange, reply: FileReply): Promise<void> {
  const { file, size, etag, cacheControl, headers = {} } = reply;
  const validators = { ...headers, ETag: etag, 'Cache-Control': cacheControl };
  if (isNotModified(request.headers['if-none-match'], etag)) {
    response.writeHead(304, validators).end();
    return;
  }
  const wanted = rangeApplies(header(request.headers['if-range']), etag) ? request.headers.range : undefined;
  const range = parseRange(wanted, size);
  if (range.kind === 'unsatisfiable') {
    response.writeHead(416, { ...validators, 'Content-Range': `bytes */${size}`, 'Content-Length': 0 }).end();
    return;
  }
  const { start, end } = range.kind === 'part' ? range : { start: 0, end: size };
  const handle = await open(file, 'r');
  try {
    response.writeHead(range.kind === 'part' ? 206 : 200, {
      ...validators,
      'Accept-Ranges': 'bytes',
      'Content-Type': mimeType(file),
      'Content-Length': end - start,
      ...(range.kind === 'part' ? { 'Content-Range': `bytes ${start}-${end - 1}/${size}` } : {}),
    });
    if (request.method === 'HEAD' || start === end) response.end();
    else await pipe(handle, start, end, response, reply.onSent);
  } finally {
    await handle.close();
  }
}

async function pipe(
  handle: FileHandle,
  start: number,
  end: number,
  response: NodeJS.WritableStream,
  onSent: FileReply['onSent'],
): Promise<void> {
  const stream = handle.createReadStream({ start, end: end - 1, autoClose: false });
  if (onSent !== undefined) stream.on('data', (chunk) => onSent(chunk.length));
  await pipeline(stream, response);
}

function header(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}
