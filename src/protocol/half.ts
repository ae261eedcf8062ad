/**
 * IEEE 754 binary16, converted in bulk on the bit patterns. `Float16Array` is too new to rely on, and
 * a value at a time through `DataView` is too slow for activations of hundreds of kilobytes.
 */

/** From here on a finite float32 rounds to infinity: halfway between 65504 and 65536, ties to even. */
export const HALF_OVERFLOW = 65520;

const SIGN = 0x8000;
const INFINITY = 0x7c00;
const QUIET = 0x0200;

/** float32 bits of 2^16, 2^-14 (the least normal half) and 2^-25 (rounds to zero, ties to even). */
const TWO_POW_16 = 0x47800000;
const LEAST_NORMAL = 0x38800000;
const TO_ZERO = 0x33000000;

/** Moves the exponent bias from 127 to 15: `(127 - 15) << 23`. */
const REBIAS = 0x38000000;

function halfOfBits(bits: number): number {
  const sign = (bits >>> 16) & SIGN;
  const magnitude = bits & 0x7fffffff;
  if (magnitude >= TWO_POW_16) {
    if (magnitude <= 0x7f800000) return sign | INFINITY;
    // A NaN keeps what fits of its payload; a payload of zero would turn it into infinity.
    const payload = (magnitude >>> 13) & 0x3ff;
    return sign | INFINITY | (payload === 0 ? QUIET : payload);
  }
  if (magnitude >= LEAST_NORMAL) {
    // Adding just under half of the last kept place, and its parity, rounds to nearest even. A carry
    // runs into the exponent, which is what the next power of two (or infinity) looks like.
    return sign | ((magnitude - REBIAS + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
  }
  if (magnitude <= TO_ZERO) return sign;
  const shift = 126 - (magnitude >>> 23);
  const mantissa = (magnitude & 0x7fffff) | 0x800000;
  const kept = mantissa >>> shift;
  const rest = mantissa & ((1 << shift) - 1);
  const middle = 1 << (shift - 1);
  return sign | (kept + (rest > middle || (rest === middle && (kept & 1) === 1) ? 1 : 0));
}

/** Rounds to nearest even; keeps signed zeros, infinities and NaN. Magnitudes of 65520 and more become infinite. */
export function toHalf(values: Float32Array): Uint16Array<ArrayBuffer> {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halves = new Uint16Array(values.length);
  for (let i = 0; i < halves.length; i++) halves[i] = halfOfBits(bits[i] as number);
  return halves;
}

function bitsOfHalf(half: number): number {
  const sign = (half & SIGN) << 16;
  const exponent = (half >>> 10) & 0x1f;
  const mantissa = half & 0x3ff;
  if (exponent === 0x1f) return (sign | 0x7f800000 | (mantissa << 13)) >>> 0;
  if (exponent !== 0) return (sign | ((half & 0x7fff) << 13)) + REBIAS;
  if (mantissa === 0) return sign >>> 0;
  // A subnormal half is a normal float32: move its leading one up to the implicit place.
  const lead = Math.clz32(mantissa) - 21;
  return (sign | ((113 - lead) << 23) | (((mantissa << lead) & 0x3ff) << 13)) >>> 0;
}

let table: Uint32Array | undefined;

/** All 65,536 halves as float32 bits: 256 KiB, built at first use in about a millisecond. */
function halfTable(): Uint32Array {
  table ??= Uint32Array.from({ length: 65_536 }, (_, half) => bitsOfHalf(half));
  return table;
}

/** Exact: every half is a float32. */
export function fromHalf(halves: Uint16Array): Float32Array<ArrayBuffer> {
  const lookup = halfTable();
  const bits = new Uint32Array(halves.length);
  for (let i = 0; i < bits.length; i++) bits[i] = lookup[halves[i] as number] as number;
  return new Float32Array(bits.buffer);
}
