/** The graph of one phase of a segment: whoever imports, builds or compiles segments composes them here. */
import type { Phase, Segment } from '../core/span.ts';
import { composeSegment, type SegmentGraph } from '../graph/compose.ts';
import type { ModelGraph } from '../graph/model-graph.ts';
import type { Manifest } from './manifest.ts';
import { segmentPhase } from './segments.ts';

/**
 * @param graph of the segment's stage in this phase
 * @returns a graph that yields what the segment hands on, and its state
 * @throws IsthmusError `bad-package` for a segment outside the package, `bad-model` where the graph lacks something
 */
export function segmentGraph(
  manifest: Manifest,
  graph: ModelGraph,
  segment: Segment,
  phase: Phase,
): SegmentGraph {
  const { given, results, states } = segmentPhase(manifest, segment, phase);
  const targets = states.map(({ output, dtype, dims }) => ({ name: output, dtype, dims }));
  return composeSegment(graph, given, [...results, ...targets]);
}
