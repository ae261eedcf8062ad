/** Which blocks of a text model are built together on the device; pure. */
import { isWithin, type Span } from '../../core/span.ts';

/**
 * Weights of one session at most, where it has more than one block. Each session costs every token a call,
 * and has its own copy of every tensor that blocks share, so few are better; but while one is built, its
 * weights are here twice and nothing else runs in the worker, a cut that moves inside of it has some of its blocks
 * built again, and the whole text has to pass it after its last block has come. Twelve sessions in the place of five
 * cost a token of 20 ms 1 to 2% of it, and save 6 s before a take-over behind 2,800 tokens.
 */
export const GROUP_BYTES = 12 * 2 ** 20;

/**
 * What must be built so that groups tile `span`: blocks that no group has yet, together; blocks of a group
 * that reaches over the span's edge, one by one.
 * @param groups blocks that share a session, built or being built; of two one lies in the other, or they are apart
 * @param bytesOf weights of blocks that share a session
 */
export function lackingGroups(
  span: Span,
  groups: readonly Span[],
  bytesOf: (blocks: Span) => number,
): readonly Span[] {
  const lacking: Span[] = [];
  let isOpen = false;
  for (let block = span.from; block < span.to; block += 1) {
    const holding = groups.filter(({ from, to }) => from <= block && block < to);
    const last = lacking.at(-1);
    const isNew = holding.length === 0;
    if (isNew && isOpen && last !== undefined) {
      const longer = { from: last.from, to: block + 1 };
      if (bytesOf(longer) <= GROUP_BYTES) {
        lacking[lacking.length - 1] = longer;
        continue;
      }
    }
    isOpen = isNew;
    if (!holding.some((group) => isWithin(group, span))) lacking.push({ from: block, to: block + 1 });
  }
  return lacking;
}

/** Groups whose blocks have all been built again in smaller ones: nothing needs them. */
export function sparedGroups<Group extends Span>(groups: readonly Group[]): readonly Group[] {
  return groups.filter((group) => {
    const inside = groups.filter((one) => one !== group && isWithin(one, group));
    return inside.reduce((blocks, { from, to }) => blocks + to - from, 0) === group.to - group.from;
  });
}
