/** How a segment is named where its sessions and times are kept. */
import type { Segment } from '../core/span.ts';

/** `stage:from-to`; with `:phase` behind it, the key of a time. */
export function segmentKey({ stage, from, to }: Segment): string {
  return `${stage}:${from}-${to}`;
}
