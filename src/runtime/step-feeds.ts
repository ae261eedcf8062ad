/** Inputs of a step graph that each side makes itself: token ids, and what follows from where rows stand. */
import type { DType, Tensor, TensorMap } from '../core/tensor.ts';
import { IsthmusError } from '../errors.ts';
import type { LoopStage, StepFeed } from '../package/manifest.ts';

/** Arrays by the types in which exports declare positions, lengths and masks. */
const MAKERS: { readonly [dtype in DType]?: (values: readonly number[]) => ArrayBufferView } = {
  int64: (values) => BigInt64Array.from(values, BigInt),
  uint64: (values) => BigUint64Array.from(values, BigInt),
  int32: (values) => Int32Array.from(values),
  uint32: (values) => Uint32Array.from(values),
  float32: (values) => Float32Array.from(values),
  uint8: (values) => Uint8Array.from(values),
  bool: (values) => Uint8Array.from(values),
};

function numbers(values: readonly number[], dtype: DType, dims: readonly number[]): Tensor {
  const make = MAKERS[dtype];
  if (make === undefined) {
    throw new IsthmusError('unsupported-model', `inputs that follow from the position cannot be ${dtype}`);
  }
  const view = make(values);
  return { dtype, dims, bytes: new Uint8Array(view.buffer, view.byteOffset, view.byteLength) };
}

/** Token ids `[1, rows]`, in the type that the graph declares. */
export function tokenFeed(stage: LoopStage, tokens: readonly number[]): TensorMap {
  const { name, dtype } = stage.tokenInput;
  return { [name]: numbers(tokens, dtype === 'int64' ? 'int64' : 'int32', [1, tokens.length]) };
}

export interface StepPlace {
  /** Positions before the rows. */
  readonly position: number;
  readonly rows: number;
  /** How many of the last rows' scores are wanted, from 1 to `rows`. */
  readonly picked: number;
}

/** All feeds of the stage for rows at this place; see `FeedKind` for their values. */
export function stepFeeds(stage: LoopStage, place: StepPlace): TensorMap {
  return Object.fromEntries(stage.feeds.map((feed) => [feed.input, stepFeed(feed, place)]));
}

/** A list lies along the last axis; the axes before it are 1. */
function along({ dtype, rank }: StepFeed, values: readonly number[]): Tensor {
  const leading = Array.from({ length: Math.max(rank - 1, 0) }, () => 1);
  return numbers(values, dtype, [...leading, values.length]);
}

function stepFeed(feed: StepFeed, { position, rows, picked }: StepPlace): Tensor {
  const total = position + rows;
  const one = (value: number): Tensor =>
    numbers(
      [value],
      feed.dtype,
      Array.from({ length: feed.rank }, () => 1),
    );
  const count = (length: number, from: number): number[] => Array.from({ length }, (_, at) => from + at);
  switch (feed.kind) {
    case 'positions':
      return along(feed, count(rows, position));
    case 'mask':
      return along(
        feed,
        Array.from({ length: total }, () => 1),
      );
    case 'past':
      return one(position);
    case 'total':
      return one(total);
    case 'last':
      return one(total - 1);
    case 'picked':
      return along(feed, count(picked, rows - picked));
    case 'picked-count':
      return one(picked);
  }
}
