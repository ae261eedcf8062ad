/** What a segment reads of a run's feeds. */
import type { Tensor, TensorMap } from '../core/tensor.ts';
import { IsthmusError } from '../errors.ts';

/** Throws `bad-tensor` where it is not there. */
export function neededFeed(feeds: TensorMap, name: string): Tensor {
  const tensor = feeds[name];
  if (tensor !== undefined) return tensor;
  throw new IsthmusError('bad-tensor', `the segment needs the input '${name}'`, { details: { name } });
}
