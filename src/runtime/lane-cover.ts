/** Which loaded segments run a span, one after the other; pure. */
import { isWithin, type Segment } from '../core/span.ts';
import { IsthmusError } from '../errors.ts';
import { segmentKey } from './segment-key.ts';

/**
 * The fewest loaded segments that tile `wanted`: itself when it is loaded, else a chain, so that one set of
 * sessions serves while the cut moves over it.
 * @throws IsthmusError `run-failed` when no loaded segments tile it
 */
export function coverSegment(wanted: Segment, loaded: readonly Segment[]): readonly Segment[] {
  const inside = loaded.filter((segment) => segment.stage === wanted.stage && isWithin(segment, wanted));
  // Shortest chains to each block, from near to far.
  const chains = new Map<number, readonly Segment[]>([[wanted.from, []]]);
  const ordered = [...inside].sort((a, b) => a.from - b.from);
  for (const segment of ordered) {
    const before = chains.get(segment.from);
    if (before === undefined) continue;
    const known = chains.get(segment.to);
    if (known === undefined || before.length + 1 < known.length) chains.set(segment.to, [...before, segment]);
  }
  const chain = chains.get(wanted.to);
  if (chain !== undefined) return chain;
  throw new IsthmusError('run-failed', `no loaded segments make up ${segmentKey(wanted)}; load it first`, {
    details: { wanted, loaded: inside.map(segmentKey) },
  });
}
