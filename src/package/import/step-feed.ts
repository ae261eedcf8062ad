/** The tensor of a feed at one place of the text; what each kind means stands at `FeedKind`. */
import type { Tensor } from '../../core/tensor.ts';
import { makeTensor } from '../../core/tensor.ts';
import { IsthmusError } from '../../errors.ts';
import type { StepFeed } from '../manifest.ts';

export interface StepPlace {
  readonly past: number;
  readonly rows: number;
  /** How many of the last rows are scored. */
  readonly picked: number;
}

export function stepFeed(feed: StepFeed, place: StepPlace): Tensor {
  const values = valuesOf(feed, place);
  const isList = feed.kind === 'positions' || feed.kind === 'mask' || feed.kind === 'picked';
  const dims = Array.from({ length: feed.rank }, (_, axis) =>
    isList && axis === feed.rank - 1 ? values.length : 1,
  );
  return makeTensor(feed.dtype, dims, bytesOf(feed, values));
}

function valuesOf({ kind }: StepFeed, { past, rows, picked }: StepPlace): number[] {
  const count = (length: number, from: number): number[] => Array.from({ length }, (_, at) => from + at);
  switch (kind) {
    case 'positions':
      return count(rows, past);
    case 'mask':
      return count(past + rows, 0).map(() => 1);
    case 'past':
      return [past];
    case 'total':
      return [past + rows];
    case 'last':
      return [past + rows - 1];
    case 'picked':
      return count(picked, rows - picked);
    case 'picked-count':
      return [picked];
  }
}

function bytesOf({ dtype, input }: StepFeed, values: readonly number[]): Uint8Array {
  switch (dtype) {
    case 'int64':
    case 'uint64':
      return new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
    case 'int32':
    case 'uint32':
      return new Uint8Array(Int32Array.from(values).buffer);
    case 'float32':
      return new Uint8Array(Float32Array.from(values).buffer);
    case 'bool':
    case 'uint8':
    case 'int8':
      return Uint8Array.from(values);
    default:
      throw new IsthmusError('unsupported-model', `the input '${input}' is ${dtype}, which cannot be fed`);
  }
}
