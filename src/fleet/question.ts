/**
 * What a device is asked: is the model here slower than so many times what its sizes say? Factors are in
 * octaves, the logarithm to base 2; questions stand half an octave apart.
 */

/**
 * Slower or faster than the built-in guess by up to 256: a software GPU adapter takes 40 times WASM's time, and
 * the guess itself may be off by a few times for a whole package.
 */
export const MAX_OCTAVES = 8;

const STEPS_PER_OCTAVE = 2;

/** Questions are numbered from 0. */
export const QUESTIONS = 2 * MAX_OCTAVES * STEPS_PER_OCTAVE + 1;

/** Octaves that a question asks about. */
export function octavesOf(question: number): number {
  return question / STEPS_PER_OCTAVE - MAX_OCTAVES;
}

/** The question nearest to so many octaves. */
export function questionNear(octaves: number): number {
  const nearest = Math.round((octaves + MAX_OCTAVES) * STEPS_PER_OCTAVE);
  return Math.min(QUESTIONS - 1, Math.max(0, nearest));
}

/** The true answer; it does not leave the device. */
export function isSlower(octaves: number, question: number): boolean {
  return octaves > octavesOf(question);
}
