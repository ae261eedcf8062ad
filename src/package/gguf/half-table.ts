/** IEEE 754 binary16 to numbers by table: quantised blocks hold one or two scales per 32 elements. */

let table: Float32Array | undefined;

/** The value of each of the 65,536 bit patterns, by pattern. Built on first use (256 KiB). */
export function halfTable(): Float32Array {
  if (table) return table;
  const built = new Float32Array(2 ** 16);
  for (let bits = 0; bits < built.length; bits += 1) {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >>> 10) & 0x1f;
    const fraction = bits & 0x3ff;
    if (exponent === 0x1f) built[bits] = fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
    else if (exponent === 0) built[bits] = sign * fraction * 2 ** -24;
    else built[bits] = sign * (1024 + fraction) * 2 ** (exponent - 25);
  }
  table = built;
  return built;
}
