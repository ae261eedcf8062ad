/**
 * SHA-256 (FIPS 180-4), fed piece by piece. The platform's `crypto.subtle` takes only whole buffers
 * and is absent on plain-http pages other than localhost, where a phone in the same network tries an
 * endpoint out; weights must be verified there as well.
 */

// The first 32 bits of the fractional parts of the cube roots of the first 64 primes.
const K = new Int32Array([
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98,
  0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
  0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8,
  0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
  0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819,
  0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
  0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
  0xc67178f2,
]);

// The same of the square roots of the first 8 primes.
const INITIAL = [
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
];

const BLOCK = 64;

export class Sha256 {
  readonly #state = Int32Array.from(INITIAL);
  readonly #words = new Int32Array(BLOCK);
  readonly #pending = new Uint8Array(BLOCK);
  #pendingLength = 0;
  #length = 0;

  update(bytes: Uint8Array): this {
    this.#length += bytes.byteLength;
    let at = 0;
    if (this.#pendingLength > 0) {
      at = Math.min(BLOCK - this.#pendingLength, bytes.byteLength);
      this.#pending.set(bytes.subarray(0, at), this.#pendingLength);
      this.#pendingLength += at;
      if (this.#pendingLength < BLOCK) return this;
      this.#compress(this.#pending, 0);
      this.#pendingLength = 0;
    }
    for (; at + BLOCK <= bytes.byteLength; at += BLOCK) this.#compress(bytes, at);
    this.#pending.set(bytes.subarray(at));
    this.#pendingLength = bytes.byteLength - at;
    return this;
  }

  /** Lower-case hex. Ends the object: further updates give no meaningful hash. */
  digest(): string {
    const bits = this.#length * 8;
    // 1 bit, zeros, and the length in 64 bits fill up one or two blocks.
    const padding = new Uint8Array(this.#pendingLength < BLOCK - 8 ? BLOCK : 2 * BLOCK);
    padding.set(this.#pending.subarray(0, this.#pendingLength));
    padding[this.#pendingLength] = 0x80;
    const view = new DataView(padding.buffer);
    view.setUint32(padding.length - 8, Math.floor(bits / 2 ** 32));
    view.setUint32(padding.length - 4, bits >>> 0);
    for (let at = 0; at < padding.length; at += BLOCK) this.#compress(padding, at);
    return Array.from(this.#state, (word) => (word >>> 0).toString(16).padStart(8, '0')).join('');
  }

  #compress(bytes: Uint8Array, at: number): void {
    compress(this.#state, this.#words, bytes, at);
  }
}

/**
 * One block of 64 bytes; `w` is scratch space. A free function without checks (`as number`: every
 * index is in range by construction), because both double the speed.
 */
function compress(s: Int32Array, w: Int32Array, bytes: Uint8Array, at: number): void {
  for (let t = 0, i = at; t < 16; t += 1, i += 4) {
    w[t] =
      ((bytes[i] as number) << 24) |
      ((bytes[i + 1] as number) << 16) |
      ((bytes[i + 2] as number) << 8) |
      (bytes[i + 3] as number);
  }
  for (let t = 16; t < BLOCK; t += 1) {
    const x = w[t - 15] as number;
    const y = w[t - 2] as number;
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    w[t] = ((((w[t - 16] as number) + s0) | 0) + (((w[t - 7] as number) + s1) | 0)) | 0;
  }
  let a = s[0] as number;
  let b = s[1] as number;
  let c = s[2] as number;
  let d = s[3] as number;
  let e = s[4] as number;
  let f = s[5] as number;
  let g = s[6] as number;
  let h = s[7] as number;
  for (let t = 0; t < BLOCK; t += 1) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const kw = ((K[t] as number) + (w[t] as number)) | 0;
    const t1 = (((h + s1) | 0) + (((g ^ (e & (f ^ g))) + kw) | 0)) | 0;
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const t2 = (s0 + ((a & b) | (c & (a | b)))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + t2) | 0;
  }
  s[0] = (s[0] as number) + a;
  s[1] = (s[1] as number) + b;
  s[2] = (s[2] as number) + c;
  s[3] = (s[3] as number) + d;
  s[4] = (s[4] as number) + e;
  s[5] = (s[5] as number) + f;
  s[6] = (s[6] as number) + g;
  s[7] = (s[7] as number) + h;
}

/** At some 50 MB/s on a slow phone, 256 KiB keep the main thread for about 5 ms. */
const SLICE_BYTES = 2 ** 18;

/** Hex SHA-256 of a whole buffer: off the thread where the platform can, else in slices that yield. */
export async function sha256Hex(bytes: Uint8Array): Promise<string> {
  // Typed as always there, and not: see the head of this file.
  const subtle = globalThis.crypto?.subtle as SubtleCrypto | undefined;
  if (subtle && bytes.buffer instanceof ArrayBuffer) {
    const digest = await subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>);
    return Array.from(new Uint8Array(digest), (value) => value.toString(16).padStart(2, '0')).join('');
  }
  const hash = new Sha256();
  await updateInSlices(hash, bytes);
  return hash.digest();
}

/** As `hash.update`, for pieces so large that the page would feel it. */
export async function updateInSlices(hash: Sha256, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.byteLength; at += SLICE_BYTES) {
    if (at > 0) await new Promise((resolve) => setTimeout(resolve));
    hash.update(bytes.subarray(at, at + SLICE_BYTES));
  }
}
