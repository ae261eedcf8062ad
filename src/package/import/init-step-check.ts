/**
 * A merged decoder has two branches: a first pass and a later step. Isthmus runs the first pass as
 * "fill the read-only state, then a step on empty state", which needs the weights once instead of
 * twice. That this is the same is not assumed: the importer runs both and compares.
 */
import { asFloat32, type Tensor, type TensorMap } from '../../core/tensor.ts';
import { IsthmusError } from '../../errors.ts';
import type { OnnxModel } from '../../graph/onnx-types.ts';
import type { LoopParts } from './classify.ts';
import { concreteDims, inputDtype, type Prober, probeTensor } from './prober.ts';

/** Largest difference of a score that counts as the same arithmetic in another order. */
export const INIT_STEP_TOLERANCE = 1e-3;

/** Returns remarks for the manifest; throws `unsupported-model` when the two ways differ. */
export async function checkInitStep(
  model: OnnxModel,
  loop: LoopParts,
  context: TensorMap,
  probe: Prober,
): Promise<string[]> {
  if (loop.branch === undefined) return [];
  const kept =
    loop.init === undefined ? {} : await probe(loop.init, only(loop.init, context), outputNames(loop.init));
  const feeds: Record<string, Tensor> = {};
  for (const value of loop.step.graph.inputs) {
    const pair = loop.initStates.find((state) => state.input.name === value.name);
    const isToken = value.name === loop.tokens.name;
    feeds[value.name] =
      (pair === undefined ? context[value.name] : kept[pair.output.name]) ??
      probeTensor(
        inputDtype(value),
        concreteDims(value, () => (isToken ? 1 : 0)),
      );
  }
  const ours = await probe(loop.step, feeds, [loop.logits.name]);
  const whole = await probe(model, wholeFeeds(model, loop, context, feeds), [loop.logits.name]);
  const difference = largestDifference(ours[loop.logits.name], whole[loop.logits.name]);
  if (!(difference <= INIT_STEP_TOLERANCE)) {
    throw new IsthmusError(
      'unsupported-model',
      `the first pass of this decoder differs from a step on empty state by ${difference}; export it without merged branches`,
      { details: { difference, tolerance: INIT_STEP_TOLERANCE } },
    );
  }
  return [
    `a step on empty state equals the first pass of the merged graph (largest difference ${difference})`,
  ];
}

function outputNames(model: OnnxModel): string[] {
  return model.graph.outputs.map((output) => output.name);
}

function only(model: OnnxModel, from: TensorMap): TensorMap {
  return Object.fromEntries(
    Object.entries(from).filter(([name]) => model.graph.inputs.some((v) => v.name === name)),
  );
}

function wholeFeeds(model: OnnxModel, loop: LoopParts, context: TensorMap, step: TensorMap): TensorMap {
  const feeds: Record<string, Tensor> = {};
  for (const value of model.graph.inputs) {
    if (model.graph.initializers.some((tensor) => tensor.name === value.name)) continue;
    if (value.name === loop.branch?.input) {
      const flag = loop.branch.inStep ? 0 : 1;
      feeds[value.name] = {
        ...probeTensor(
          'bool',
          concreteDims(value, () => 1),
        ),
        bytes: Uint8Array.of(flag),
      };
    } else if (value.name === loop.tokens.name) {
      const tokens = step[value.name];
      if (tokens !== undefined) feeds[value.name] = tokens;
    } else {
      feeds[value.name] =
        context[value.name] ??
        probeTensor(
          inputDtype(value),
          concreteDims(value, () => 0),
        );
    }
  }
  return feeds;
}

function largestDifference(a: Tensor | undefined, b: Tensor | undefined): number {
  if (a === undefined || b === undefined) return Number.NaN;
  const x = asFloat32(a);
  const y = asFloat32(b);
  if (x.length !== y.length) return Number.NaN;
  let largest = 0;
  for (let i = 0; i < x.length; i += 1) largest = Math.max(largest, Math.abs((x[i] ?? 0) - (y[i] ?? 0)));
  return largest;
}
