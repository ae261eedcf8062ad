/**
 * Samples of 16 bits as float32 and back: `x = q / 32768`, q from -32768 to 32767. What recordings are made of, so a
 * recording crosses in half the bytes and is the same to the last bit.
 */

const STEPS = 32_768;
const LEAST = -STEPS;
const MOST = STEPS - 1;

/** Whether each value is a 16-bit sample to the last bit; the first one that is none ends the search. */
export function isPcm16(values: Float32Array): boolean {
  return values.every((value) => {
    const sample = value * STEPS;
    return Number.isInteger(sample) && sample >= LEAST && sample <= MOST && !Object.is(sample, -0);
  });
}

/** Undefined where a value is none. */
export function toPcm16(values: Float32Array): Int16Array<ArrayBuffer> | undefined {
  return isPcm16(values) ? Int16Array.from(values, (value) => value * STEPS) : undefined;
}

export function fromPcm16(samples: Int16Array): Float32Array<ArrayBuffer> {
  return Float32Array.from(samples, (sample) => sample / STEPS);
}

/** The nearest samples (of numbers); what is louder than the loudest is that. The array itself where it has none but those. */
export function roundToPcm16(values: Float32Array): Float32Array {
  if (isPcm16(values)) return values;
  return Float32Array.from(values, (value) => {
    const sample = Math.max(LEAST, Math.min(MOST, Math.round(value * STEPS)));
    // Not -0, which is none of them.
    return sample / STEPS + 0;
  });
}
