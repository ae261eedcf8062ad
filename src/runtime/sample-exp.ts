/**
 * `e^x` for `x <= 0` from additions and multiplications alone, which IEEE 754 fixes to the last bit.
 * `Math.exp` is left to the engine by ECMAScript (21.3.2.14), and a last bit is enough to draw another token.
 */

/** ln 2 in two parts: the first has so few bits that its products with small integers are exact (fdlibm). */
const LN2_HIGH = 0.6931471803691238;
const LN2_LOW = 1.9082149292705877e-10;

/** Below it the result has no full precision any more; nothing that unlikely is ever drawn. */
const LOWEST = -708;

/** Terms of Taylor's series: with |r| <= ln(2)/2 the first one left out is under 2^-60. */
const TERMS = 14;

/** 1/n!, each from the one before it. */
const INVERSE_FACTORIALS = Float64Array.from({ length: TERMS }, (_, n) => {
  let factorial = 1;
  for (let factor = 2; factor <= n; factor += 1) factorial *= factor;
  return 1 / factorial;
});

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

/** `x` is 0 or below, or `-Infinity`. */
export function expNegative(x: number): number {
  if (x < LOWEST) return 0;
  const halvings = Math.floor(0.5 - x * Math.LOG2E);
  const rest = x + halvings * LN2_HIGH + halvings * LN2_LOW;
  let sum = 0;
  for (let n = TERMS - 1; n >= 0; n -= 1) sum = sum * rest + (INVERSE_FACTORIALS[n] ?? 0);
  return sum * (NEGATIVE_POWERS[halvings] ?? 0);
}
