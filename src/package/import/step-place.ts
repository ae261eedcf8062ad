/** What to feed a step at one place of the text: shapes of state, tokens, and what follows from the place. */
import { DTYPE_BYTES, elementCount, makeTensor, type Tensor, type TensorMap } from '../../core/tensor.ts';
import { IsthmusError } from '../../errors.ts';
import type { OnnxValue } from '../../graph/onnx-types.ts';
import type { StepFeed } from '../manifest.ts';
import type { LoopParts } from './classify.ts';
import { inputDtype } from './prober.ts';
import { type StepPlace, stepFeed } from './step-feed.ts';

/**
 * Extents of an input of a step: fixed ones as they are, the batch as 1, the others by `extent`. The
 * batch is the extent that shares its symbol with the tokens' first axis, else axis 0, else (as in
 * `[2, batch, heads, past, features]`) the first that is not fixed.
 */
export function stepDims(value: OnnxValue, tokens: OnnxValue, extent: number): number[] {
  const { dims } = value;
  if (dims === undefined) {
    throw new IsthmusError('unsupported-model', `the input '${value.name}' has no declared rank`);
  }
  const batch = tokens.dims?.[0];
  const open = dims.flatMap((dim, axis) => (typeof dim === 'number' ? [] : [axis]));
  const isNamed = typeof batch === 'string' && dims.includes(batch);
  const isStacked = typeof dims[0] === 'number' && dims[0] > 1 && open.length > 1;
  return dims.map((dim, axis) => {
    if (typeof dim === 'number') return dim;
    if (isNamed ? dim === batch : axis === 0 || (isStacked && axis === open[0])) return 1;
    return extent;
  });
}

/** Ids that differ from row to row: equal ones would hide what mixes rows up. */
export function tokenRows(loop: LoopParts, past: number, rows: number): Tensor {
  const ids = Array.from({ length: rows }, (_, row) => (7 * (past + row) + 3) % Math.max(1, loop.ids));
  const dtype = inputDtype(loop.tokens);
  const bytes =
    dtype === 'int64'
      ? new Uint8Array(BigInt64Array.from(ids, BigInt).buffer)
      : new Uint8Array(Int32Array.from(ids).buffer);
  return makeTensor(dtype, [1, rows], bytes);
}

/** State before any token: nothing where it grows, zeros where its extents are fixed. */
export function freshState(loop: LoopParts): TensorMap {
  return Object.fromEntries(
    loop.stepStates.map(({ input }) => {
      const dims = stepDims(input, loop.tokens, 0);
      const dtype = inputDtype(input);
      return [input.name, makeTensor(dtype, dims, new Uint8Array(elementCount(dims) * DTYPE_BYTES[dtype]))];
    }),
  );
}

/** Tokens and feeds of a step; state and context come from elsewhere. */
export function placeFeeds(loop: LoopParts, feeds: readonly StepFeed[], place: StepPlace): TensorMap {
  return {
    [loop.tokens.name]: tokenRows(loop, place.past, place.rows),
    ...Object.fromEntries(feeds.map((feed) => [feed.input, stepFeed(feed, place)])),
  };
}
