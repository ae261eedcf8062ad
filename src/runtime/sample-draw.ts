/**
 * Numbers that look random and follow from a seed and a counter alone, so that a draw is the same wherever
 * and whenever it is made.
 *
 * SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014): output `n` of
 * seed `s` is `mix(s + n * GAMMA)`, so any output can be had without those before it.
 */

/** 2^64 divided by the golden ratio, made odd: steps of it visit all 64-bit numbers, far apart. */
const GAMMA = 0x9e3779b97f4a7c15n;

/** Bits of a double's significand: more would be rounded, and 1 must not be reached. */
const SIGNIFICAND_BITS = 53n;

/** The finaliser of SplitMix64 (David Stafford's variant 13 of MurmurHash3's). */
function mix(value: bigint): bigint {
  let z = BigInt.asUintN(64, value);
  z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
  z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
  return z ^ (z >> 31n);
}

/** Output `index` (from 0 on) of the generator with that seed, 64 bits. */
export function splitMix64(seed: bigint, index: bigint): bigint {
  return mix(seed + (index + 1n) * GAMMA);
}

/**
 * A number in [0, 1) for a token's position. The seed is mixed first, as generators whose seeds lie steps of
 * `GAMMA` apart would give the same numbers, shifted.
 */
export function uniform(seed: number, position: number): number {
  const bits = splitMix64(mix(BigInt(seed)), BigInt(position));
  return Number(bits >> (64n - SIGNIFICAND_BITS)) / 2 ** 53;
}
