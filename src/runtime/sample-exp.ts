/**
 * `e^x` for `x <= 0` from additions and multiplications alone, which IEEE 754 fixes to the last bit.
 * `Math.exp` is left to the engine by ECMAScript (21.3.2.14), and a last bit is enough to draw another token.
 */

/** ln 2 in two parts: the first has so few bits that its products with small integers are exact (fdlibm). */
const LN2_HIGH = 0.6931471803691238;
const LN2_LOW = 1.9082149292705877e-10;

/** Below it the result has no full precision any more; nothing that unlikely is ever drawn. */
const LOWEST = -708;

/** 2^-n; halving is exact. */
const NEGATIVE_POWERS = ((): Float64Array => {
  const powers = new Float64Array(1_023);
  let power = 1;
  for (let n = 0; n < powers.length; n += 1) {
    powers[n] = power;
    power /= 2;
  }
  return powers;
})();

/** 1/n!: written out, as a loop over a table takes three times as long. */
const C2 = 1 / 2;
const C3 = 1 / 6;
const C4 = 1 / 24;
const C5 = 1 / 120;
const C6 = 1 / 720;
const C7 = 1 / 5_040;
const C8 = 1 / 40_320;
const C9 = 1 / 362_880;
const C10 = 1 / 3_628_800;
const C11 = 1 / 39_916_800;
const C12 = 1 / 479_001_600;
const C13 = 1 / 6_227_020_800;

/** Taylor's series; with |r| <= ln(2)/2 the first term left out is under 2^-57. */
function series(r: number): number {
  const high = C8 + r * (C9 + r * (C10 + r * (C11 + r * (C12 + r * C13))));
  return 1 + r * (1 + r * (C2 + r * (C3 + r * (C4 + r * (C5 + r * (C6 + r * (C7 + r * high)))))));
}

/** `x` is 0 or below, or `-Infinity`. */
export function expNegative(x: number): number {
  if (x < LOWEST) return 0;
  const halvings = Math.floor(0.5 - x * Math.LOG2E);
  const r = x + halvings * LN2_HIGH + halvings * LN2_LOW;
  return series(r) * (NEGATIVE_POWERS[halvings] ?? 0);
}
