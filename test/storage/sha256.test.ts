import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Sha256, sha256Hex } from '../../src/storage/sha256.ts';

function reference(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

afterEach(() => vi.unstubAllGlobals());

describe('Sha256', () => {
  it('gives the values of FIPS 180-4', () => {
    expect(new Sha256().digest()).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
    expect(new Sha256().update(new TextEncoder().encode('abc')).digest()).toBe(
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    );
  });

  it('agrees with the platform at every length around the block boundaries', () => {
    for (let length = 0; length <= 200; length += 1) {
      const bytes = Uint8Array.from({ length }, (_, index) => (index * 7 + length) & 255);
      expect(new Sha256().update(bytes).digest()).toBe(reference(bytes));
    }
  });

  it('does not depend on how the bytes are cut', () => {
    const pieces = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 12 });
    fc.assert(
      fc.property(pieces, (chunks) => {
        const hash = new Sha256();
        for (const chunk of chunks) hash.update(chunk);
        expect(hash.digest()).toBe(reference(Buffer.concat(chunks)));
      }),
    );
  });

  it('counts lengths over 2^32 bits', () => {
    const mebibyte = new Uint8Array(2 ** 20).fill(0x5a);
    const hash = new Sha256();
    const expected = createHash('sha256');
    for (let count = 0; count < 513; count += 1) {
      hash.update(mebibyte);
      expected.update(mebibyte);
    }
    expect(hash.digest()).toBe(expected.digest('hex'));
  });
});

describe('sha256Hex', () => {
  const bytes = Uint8Array.from({ length: 3 * 2 ** 19 + 5 }, (_, index) => index & 255);

  it('hashes a view, not its buffer', async () => {
    expect(await sha256Hex(bytes.subarray(10, 1000))).toBe(reference(bytes.subarray(10, 1000)));
  });

  it('gives the same where the page has no crypto.subtle', async () => {
    vi.stubGlobal('crypto', {});
    expect(await sha256Hex(bytes)).toBe(reference(bytes));
    vi.stubGlobal('crypto', undefined);
    expect(await sha256Hex(new Uint8Array(0))).toBe(reference(new Uint8Array(0)));
  });
});
