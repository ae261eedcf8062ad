/** Which content coding an answer has (RFC 9110, section 12.5.3). Pure. */

/** Best first. */
export const CODINGS = ['br', 'gzip'] as const;
export type Coding = (typeof CODINGS)[number];

/** Of a header at most: what browsers send has five, and each costs a comparison. */
const MAX_PARTS = 32;

/** What text has in common repeats, in graphs too: names of nodes and tensors. Weights do not. */
const COMPRESSIBLE = /\.(css|html|js|json|map|mjs|onnx|svg|txt|wasm|webmanifest)$/i;

/** Below this a packet more or less is not at stake. */
const LEAST_BYTES = 1024;

/** More than any page's runtime has; what is larger is sent as it is. */
const MOST_BYTES = 32 * 2 ** 20;

export function isCompressible(path: string, bytes: number): boolean {
  return bytes >= LEAST_BYTES && bytes <= MOST_BYTES && COMPRESSIBLE.test(path);
}

/** @returns undefined: as it is, which every client takes; also for who names no coding */
export function codingOf(acceptEncoding: string | undefined): Coding | undefined {
  const weights = new Map<string, number>();
  for (const part of (acceptEncoding ?? '').split(',', MAX_PARTS)) {
    const [name = '', ...parameters] = part.split(';').map((piece) => piece.trim().toLowerCase());
    const given = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2);
    const weight = given === undefined ? 1 : Number(given);
    if (name !== '') weights.set(name, Number.isNaN(weight) ? 0 : weight);
  }
  const weightOf = (coding: Coding): number => weights.get(coding) ?? weights.get('*') ?? 0;
  // The smaller one of those that the client takes: its own order says little, browsers give none.
  return CODINGS.find((coding) => weightOf(coding) > 0);
}
