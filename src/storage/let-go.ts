/** Memory of bytes that nobody needs any more, given back at once. */

/**
 * Frees the buffer behind `bytes`, which must be the caller's alone; a view of a part of a buffer is left. A worker
 * that waits makes no garbage, so its collector does not run, and what a download left behind would
 * stay: more than the model itself. ES2024; platforms without it collect when they like.
 */
export function letGo({ buffer, byteLength }: Uint8Array): void {
  if (byteLength !== buffer.byteLength) return;
  (buffer as ArrayBuffer & { transfer?: (bytes: number) => ArrayBuffer }).transfer?.(0);
}
