/** Running models to look at what comes out: the only I/O of the importer beside files. */
import type { TensorMap } from '../../core/tensor.ts';
import type { OnnxModel } from '../../graph/onnx-types.ts';

export type ProbeRun = (feeds: TensorMap, fetches: readonly string[]) => Promise<TensorMap>;

export interface Prober {
  /** Runs a whole model once. */
  (model: OnnxModel, feeds: TensorMap, fetches: readonly string[]): Promise<TensorMap>;
  /** Loads a model for several runs; without it each run loads the model again. */
  readonly open?: (
    model: OnnxModel,
  ) => Promise<{ readonly run: ProbeRun; readonly close: () => Promise<void> }>;
}

/** Several runs of one model, loaded once where the prober can. */
export async function withModel<T>(
  prober: Prober,
  model: OnnxModel,
  use: (run: ProbeRun) => Promise<T>,
): Promise<T> {
  if (prober.open === undefined) return use((feeds, fetches) => prober(model, feeds, fetches));
  const session = await prober.open(model);
  try {
    return await use(session.run);
  } finally {
    await session.close();
  }
}
