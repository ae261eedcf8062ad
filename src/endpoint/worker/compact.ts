/**
 * Tensors are views: of a frame, of the runtime's memory, of buffers that are fed again at the next
 * step. Posting a view clones the whole buffer behind it and transferring one takes it away from its
 * owner, so each is copied once into a buffer of its own, which then moves without another copy.
 */
import type { Tensor, TensorMap } from '../../core/tensor.ts';

export interface Compact {
  readonly tensors: TensorMap;
  readonly transfer: readonly ArrayBuffer[];
}

export function compact(tensors: TensorMap): Compact {
  const transfer: ArrayBuffer[] = [];
  const copied = Object.entries(tensors).map(([name, tensor]): [string, Tensor] => {
    const bytes = new Uint8Array(tensor.bytes);
    transfer.push(bytes.buffer);
    return [name, { ...tensor, bytes }];
  });
  return { tensors: Object.fromEntries(copied), transfer };
}
