import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createCompressor } from '../../../src/endpoint/http/compressor.ts';
import { codingOf, isCompressible } from '../../../src/endpoint/http/content-coding.ts';

describe('the coding of an answer', () => {
  it.each([
    [undefined, undefined],
    ['', undefined],
    ['gzip, deflate, br, zstd', 'br'],
    ['gzip, deflate', 'gzip'],
    ['GZIP;q=0.5', 'gzip'],
    ['br;q=0, gzip', 'gzip'],
    ['*', 'br'],
    ['br;q=0, *;q=0.1', 'gzip'],
    ['identity', undefined],
    ['*;q=0', undefined],
    ['br;q=nonsense', undefined],
    [`${'x,'.repeat(1000)}br`, undefined],
  ])('for %j is %j', (header, coding) => {
    expect(codingOf(header)).toBe(coding);
  });

  it('is one that exists, whatever the header', () => {
    fc.assert(
      fc.property(fc.string(), (header) => {
        expect([undefined, 'br', 'gzip']).toContain(codingOf(header));
      }),
    );
  });

  it('is for what repeats, and not for weights, packets or what no page has', () => {
    expect(isCompressible('/x/tokenizer.json', 5000)).toBe(true);
    expect(isCompressible('/x/RUNTIME.WASM', 13e6)).toBe(true);
    expect(isCompressible('/x/weights.bin', 5000)).toBe(false);
    expect(isCompressible('/x/tokenizer.json', 500)).toBe(false);
    expect(isCompressible('/x/huge.json', 1e9)).toBe(false);
  });
});

describe('compressed forms', () => {
  const content = new TextEncoder().encode('again and again '.repeat(100));

  it('are made once, for those who ask meanwhile as well', async () => {
    let loads = 0;
    const { compressed } = createCompressor();
    const load = async () => {
      loads += 1;
      return content;
    };
    const all = await Promise.all([compressed('a', 'br', load), compressed('a', 'br', load)]);
    all.push(await compressed('a', 'br', load));
    for (const one of all) expect(new Uint8Array(brotliDecompressSync(one))).toEqual(content);
    expect(loads).toBe(1);
    expect(new Uint8Array(gunzipSync(await compressed('a', 'gzip', load)))).toEqual(content);
    expect(loads).toBe(2);
  });

  it('are let go of when there is no room, the one first that nobody asked for the longest', async () => {
    const size = (await createCompressor().compressed('x', 'br', async () => content)).byteLength;
    const { compressed } = createCompressor(2 * size);
    const loaded: string[] = [];
    const ask = (key: string) =>
      compressed(key, 'br', async () => {
        loaded.push(key);
        return content;
      });
    for (const key of ['a', 'b', 'a', 'c', 'a', 'b']) await ask(key);
    expect(loaded).toEqual(['a', 'b', 'c', 'b']);
  });

  it('that cannot be made are asked for anew', async () => {
    const { compressed } = createCompressor();
    const broken = async () => Promise.reject(new Error('no such file'));
    await expect(compressed('a', 'br', broken)).rejects.toThrow('no such file');
    await expect(compressed('a', 'br', async () => content)).resolves.toBeInstanceOf(Uint8Array);
  });
});
