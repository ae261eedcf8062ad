/**
 * From a span to the graphs that run it: which crossings, targets and state belong to a segment. The
 * importer (for weights), the runner (for sessions) and the executor (for feeds) share this.
 */
import type { Phase, Segment, Span } from '../core/span.ts';
import { IsthmusError } from '../errors.ts';
import type { TypedName } from '../graph/compose.ts';
import type { Crossing, Manifest, Stage, StateEntry } from './manifest.ts';

/** A stage by its index; `bad-package` where there is none. */
export function stageAt(manifest: Manifest, index: number): Stage {
  const stage = manifest.stages[index];
  if (stage === undefined) throw new IsthmusError('bad-package', `the package has no stage ${index}`);
  return stage;
}

/** The segments of a span, in order. Throws `bad-option` for spans outside the model. */
export function segmentsOf(manifest: Manifest, span: Span): Segment[] {
  const { from, to } = span;
  if (
    !Number.isInteger(from) ||
    !Number.isInteger(to) ||
    from < 0 ||
    to > manifest.blocks.length ||
    from >= to
  ) {
    throw new IsthmusError('bad-option', `[${from}, ${to}) is no span of ${manifest.blocks.length} blocks`);
  }
  return manifest.stages.flatMap((stage, index) => {
    const a = Math.max(from, stage.from);
    const b = Math.min(to, stage.to);
    return a < b ? [{ stage: index, from: a, to: b }] : [];
  });
}

/** Phases in which a stage runs. */
export function phasesOf(stage: Stage): Phase[] {
  if (stage.kind === 'once') return ['once'];
  return stage.graphs.init === undefined ? ['step'] : ['init', 'step'];
}

export function graphFile(stage: Stage, phase: Phase): string {
  const file = (stage.graphs as { readonly [phase in Phase]?: string })[phase];
  if (file === undefined)
    throw new IsthmusError('bad-package', `stage '${stage.name}' has no ${phase} graph`);
  return file;
}

/** Files that blocks `[0, n]` need and `[0, n)` do not: a block's shards, and with a stage's first one its graphs. */
export function filesByBlock(manifest: Manifest): readonly (readonly string[])[] {
  const seen = new Set<string>();
  return manifest.blocks.map(({ stage: index, shards }, block) => {
    const stage = stageAt(manifest, index);
    const graphs = stage.from === block ? phasesOf(stage).map((phase) => graphFile(stage, phase)) : [];
    const gained = [...new Set([...graphs, ...shards])].filter((file) => !seen.has(file));
    for (const file of gained) seen.add(file);
    return gained;
  });
}

/** What crosses at a cut in a phase; nothing at a stage's edges, where whole tensors are handed on. */
export function crossingAtCut(manifest: Manifest, cut: number, phase: Phase): Crossing | undefined {
  return manifest.cuts[cut]?.crossings[phase];
}

export interface SegmentPhase {
  readonly phase: Phase;
  /** Values that come in at the segment's near edge; the graph's own inputs where it begins the stage. */
  readonly given: readonly TypedName[];
  /** Values to hand on at the far edge: crossing tensors, or the stage's outputs. */
  readonly results: readonly TypedName[];
  /** State outputs of this phase whose blocks lie in the segment. */
  readonly states: readonly StateEntry[];
}

/** Inputs, results and state of one phase of a segment. */
export function segmentPhase(manifest: Manifest, segment: Segment, phase: Phase): SegmentPhase {
  const stage = stageAt(manifest, segment.stage);
  const given = segment.from === stage.from ? [] : (crossingAtCut(manifest, segment.from, phase)?.sent ?? []);
  const inside = segment.to < stage.to;
  const results = inside
    ? (crossingAtCut(manifest, segment.to, phase)?.sent ?? [])
    : stageResults(stage, phase);
  const states =
    stage.kind === 'once'
      ? []
      : stage.states.filter(
          (state) => state.origin === phase && state.block >= segment.from && state.block < segment.to,
        );
  return { phase, given, results, states };
}

function stageResults(stage: Stage, phase: Phase): readonly TypedName[] {
  if (stage.kind === 'once') return stage.outputs;
  if (phase !== 'step') return [];
  return [{ name: stage.logits, dtype: 'float32', dims: [1, null, stage.vocabulary] }];
}

/** State that a segment's step reads: entries whose blocks lie in it. */
export function statesOf(stage: Stage, segment: Segment): readonly StateEntry[] {
  if (stage.kind === 'once') return [];
  return stage.states.filter((state) => state.block >= segment.from && state.block < segment.to);
}
