/**
 * The exponential of four floats, to about one unit in the last place: 2^n times a polynomial in what is left,
 * as in Cephes' `expf` (S. L. Moshier). Every machine computes the same bits, which a call to the
 * platform's own function would not give.
 */

/** Beyond these the result is 0 or not finite. */
const LEAST: f32 = -87.33654;
const LARGEST: f32 = 88.72283;

const LOG2_E: f32 = 1.4426950408889634;
/** ln 2 in two parts, the first of few bits, so that `n` times it is exact. */
const LN2_HIGH: f32 = 0.693359375;
const LN2_LOW: f32 = -2.12194440e-4;

// @ts-expect-error: decorator
@inline
export function exp4(given: v128): v128 {
  const x = f32x4.min(f32x4.max(given, f32x4.splat(LEAST)), f32x4.splat(LARGEST));
  const n = f32x4.nearest(f32x4.mul(x, f32x4.splat(LOG2_E)));
  let r = f32x4.sub(x, f32x4.mul(n, f32x4.splat(LN2_HIGH)));
  r = f32x4.sub(r, f32x4.mul(n, f32x4.splat(LN2_LOW)));
  let p = f32x4.splat(1.9875691500e-4);
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.3981999507e-3));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(8.3334519073e-3));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(4.1665795894e-2));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.6666665459e-1));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(5.0000001201e-1));
  p = f32x4.add(f32x4.mul(p, f32x4.mul(r, r)), f32x4.add(r, f32x4.splat(1)));
  const exponent = i32x4.shl(i32x4.add(i32x4.trunc_sat_f32x4_s(n), i32x4.splat(127)), 23);
  const result = f32x4.mul(p, exponent);
  // So small that the exponent above would wrap: nothing.
  return v128.and(result, f32x4.ge(given, f32x4.splat(LEAST)));
}

// @ts-expect-error: decorator
@inline
export function sum4(v: v128): f32 {
  const pairs = f32x4.add(v, v128.shuffle<i32>(v, v, 2, 3, 0, 1));
  return f32x4.extract_lane(pairs, 0) + f32x4.extract_lane(pairs, 1);
}

// @ts-expect-error: decorator
@inline
export function max4(v: v128): f32 {
  const pairs = f32x4.max(v, v128.shuffle<i32>(v, v, 2, 3, 0, 1));
  return max(f32x4.extract_lane(pairs, 0), f32x4.extract_lane(pairs, 1));
}
