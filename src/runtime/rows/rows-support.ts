/** Whether the kernels can run a package's text loop, told from its weightless graph alone: no weights are read. */
import { type ModelGraph, toModelGraph } from '../../graph/model-graph.ts';
import { readModel } from '../../graph/onnx-read.ts';
import type { LoopStage, Manifest } from '../../package/manifest.ts';
import { segmentGraph } from '../../package/segment-graph.ts';
import { graphFile, phasesOf } from '../../package/segments.ts';
import type { LoadOptions, PackageSource } from '../runner.ts';
import { compileRows } from './compile.ts';
import type { AttentionLayer } from './program.ts';

export type RowsSupport =
  | {
      readonly graph: ModelGraph;
      readonly stage: LoopStage;
      readonly layers: readonly AttentionLayer[];
      readonly positions: number;
    }
  | { readonly refused: string };

/** Throws what reading the graph throws. */
export async function rowsSupport(
  manifest: Manifest,
  source: PackageSource,
  options: LoadOptions = {},
): Promise<RowsSupport> {
  const [stage] = manifest.stages;
  if (stage?.kind !== 'loop' || manifest.stages.length !== 1 || manifest.text === undefined) {
    return { refused: 'the package is no text model of one stage' };
  }
  if (phasesOf(stage).join() !== 'step') return { refused: 'the loop begins with a pass of its own' };
  const graph = toModelGraph(readModel(await source.read(graphFile(stage, 'step'), options)));
  const compiled = (from: number, to: number) =>
    compileRows(segmentGraph(manifest, graph, { stage: 0, from, to }, 'step').model, stage);
  // At every cut something else crosses, and a plan may take any of them.
  for (let block = stage.from; block < stage.to; block += 1) {
    const program = compiled(block, block + 1);
    if ('refused' in program) return program;
  }
  const program = compiled(stage.from, stage.to);
  if ('refused' in program) return program;
  if (program.positions === undefined) return { refused: 'the model has no attention' };
  const inState = new Set(program.layers.flatMap(({ pastKey, pastValue }) => [pastKey, pastValue]));
  const other = stage.states.find(({ input }) => !inState.has(input));
  if (other !== undefined) return { refused: `the state '${other.input}' is no key or value` };
  // A row to spare is in the tables, for the padding that the graph has and the kernels do not need.
  const positions = Math.min(program.positions, manifest.text.contextLength);
  return { graph, stage, layers: program.layers, positions };
}
