/** Whole numbers among a run's feeds: tokens, and which rows are picked. */
import type { Tensor, TensorMap } from '../../core/tensor.ts';
import { alignedBytes } from '../../core/tensor.ts';
import { IsthmusError } from '../../errors.ts';
import { neededFeed } from '../needed-feed.ts';

/**
 * The numbers of a feed, each at least 0 and below `bound`: the kernels read memory by them.
 * @throws IsthmusError `bad-tensor`
 */
export function intFeed(name: string, feeds: TensorMap, bound = Number.MAX_SAFE_INTEGER): number[] {
  const values = numbers(name, neededFeed(feeds, name));
  const bad = values.find((value) => !(value >= 0 && value < bound));
  if (bad === undefined) return values;
  throw new IsthmusError('bad-tensor', `'${name}' has ${bad}, which is not below ${bound}`, {
    details: { name, got: bad, bound },
  });
}

function numbers(name: string, { dtype, bytes }: Tensor): number[] {
  const aligned = alignedBytes(bytes, 8);
  const { buffer, byteOffset, byteLength } = aligned;
  if (dtype === 'int64') return Array.from(new BigInt64Array(buffer, byteOffset, byteLength / 8), Number);
  if (dtype === 'int32') return [...new Int32Array(buffer, byteOffset, byteLength / 4)];
  throw new IsthmusError('bad-tensor', `'${name}' is ${dtype}, not whole numbers`, { details: { name } });
}
