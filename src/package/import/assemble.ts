/** The last step of an import: numbers for blocks, shards for weights, and the manifest that says it all. */
import type { Phase } from '../../core/span.ts';
import { PHASES } from '../../core/span.ts';
import { IsthmusError } from '../../errors.ts';
import { toModelGraph } from '../../graph/model-graph.ts';
import { writeModel } from '../../graph/onnx-write.ts';
import type {
  AudioInput,
  Block,
  Cut,
  Generation,
  Manifest,
  PackageFile,
  Stage,
  TextModel,
} from '../manifest.ts';
import { MANIFEST_FORMAT, MANIFEST_VERSION } from '../manifest.ts';
import { segmentGraph } from '../segment-graph.ts';
import { phasesOf, statesOf } from '../segments.ts';
import type { Prober } from './prober.ts';
import { isInline, makeShards, type WeightUse, weightKey, weightless } from './shards.ts';
import type { StageParts } from './stage-parts.ts';

export interface ImportOptions {
  readonly name: string;
  readonly generation?: Generation;
  readonly audio?: AudioInput;
  readonly text?: TextModel;
  /** Further files by path, e.g. the tokenizer. */
  readonly files?: Readonly<Record<string, Uint8Array>>;
  readonly tokenizer?: { readonly tokenizer: string; readonly config?: string };
  readonly onProgress?: (message: string) => void;
}

export interface ImportTools {
  readonly probe: Prober;
  /** Lower-case hex SHA-256. */
  readonly hash: (bytes: Uint8Array) => Promise<string>;
}

export interface ImportedPackage {
  readonly manifest: Manifest;
  readonly files: ReadonlyMap<string, Uint8Array>;
}

export interface NamedParts {
  readonly name: string;
  readonly parts: StageParts;
}

export async function assemble(
  named: readonly NamedParts[],
  options: ImportOptions,
  tools: ImportTools,
): Promise<ImportedPackage> {
  const files = new Map<string, Uint8Array>(Object.entries(options.files ?? {}));
  const offsets = named.map((_, index) =>
    named.slice(0, index).reduce((sum, stage) => sum + stage.parts.blocks, 0),
  );
  const draft = draftManifest(named, offsets, options);
  const uses = weightUses(named, draft);
  const set = await makeShards(uses, tools.hash);
  for (const shard of set.shards) files.set(shard.name, shard.bytes);
  const stages: Stage[] = [];
  for (const [index, stage] of draft.stages.entries()) {
    const graphs: { [phase in Phase]?: string } = {};
    for (const phase of phasesOf(stage)) {
      const model = named[index]?.parts.graphs[phase];
      if (model === undefined) continue;
      const bytes = writeModel(weightless(model, index, set));
      const file = `${await tools.hash(bytes)}.onnx`;
      files.set(file, bytes);
      graphs[phase] = file;
    }
    stages.push({ ...stage, graphs } as Stage);
  }
  const blocks = draft.blocks.map((block): Block => {
    const shards = set.shards.filter((shard) => shard.blocks.has(block.index));
    const mine = uses.filter((use) => use.blocks.has(block.index));
    return {
      ...block,
      shards: shards.map((shard) => shard.name),
      weightBytes: mine.reduce((sum, use) => sum + (use.tensor.data?.byteLength ?? 0), 0),
    };
  });
  const index: Record<string, PackageFile> = {};
  for (const [path, bytes] of files)
    index[path] = { sha256: await tools.hash(bytes), bytes: bytes.byteLength };
  return { manifest: { ...draft, stages, blocks, files: index }, files };
}

/** The manifest without files: enough to compose every block. */
function draftManifest(
  named: readonly NamedParts[],
  offsets: readonly number[],
  options: ImportOptions,
): Manifest {
  const stages = named.map(({ name, parts }, index): Stage => {
    const from = offsets[index] ?? 0;
    const common = { name, from, to: from + parts.blocks };
    const states = parts.states.map((state) => ({ ...state, block: state.block + from }));
    const { describe } = parts;
    return describe.kind === 'once'
      ? { ...common, ...describe, graphs: { once: '' }, inputs: parts.inputs, outputs: parts.outputs }
      : {
          ...common,
          ...describe,
          graphs: parts.graphs.init === undefined ? { step: '' } : { init: '', step: '' },
          states,
        };
  });
  const cuts = named.flatMap(({ parts }) => parts.cuts).map((crossings, cut): Cut => ({ cut, crossings }));
  const blocks = named.flatMap(({ parts }, stage) =>
    Array.from({ length: parts.blocks }, (_, index): Block => {
      return { index: (offsets[stage] ?? 0) + index, stage, shards: [], weightBytes: 0, nodes: 0 };
    }),
  );
  const draft: Manifest = {
    format: MANIFEST_FORMAT,
    version: MANIFEST_VERSION,
    name: options.name,
    stages,
    blocks,
    cuts: [...cuts.map((cut) => edgeCut(cut, stages)), { cut: blocks.length, crossings: {} }],
    files: {},
    notes: named.flatMap(({ name, parts }) => parts.notes.map((note) => `${name}: ${note}`)),
    ...(options.tokenizer === undefined ? {} : { tokenizer: options.tokenizer }),
    ...(options.generation === undefined ? {} : { generation: options.generation }),
    ...(options.audio === undefined ? {} : { audio: options.audio }),
    ...(options.text === undefined ? {} : { text: options.text }),
  };
  return {
    ...draft,
    blocks: blocks.map((block) => ({ ...block, nodes: blockNodes(named, draft, block) })),
  };
}

/** Where one stage hands on to the next, what crosses is the outputs of the first. */
function edgeCut(cut: Cut, stages: readonly Stage[]): Cut {
  const next = stages.findIndex((stage) => stage.from === cut.cut);
  const stage = stages[next];
  const before = stages[next - 1];
  if (stage?.kind !== 'loop' || before?.kind !== 'once') return cut;
  const links = new Set(stage.context.map((link) => link.output));
  const sent = before.outputs
    .filter((output) => links.has(output.name))
    .map((output) => {
      const width = output.dims.slice(2).reduce<number>((product, dim) => product * (dim ?? 1), 4);
      const { base, perUnit } = before.rows;
      return {
        ...output,
        bytes: { base: base * width, perUnit: perUnit * width },
        lossy: output.dtype === 'float32',
      };
    });
  return { cut: cut.cut, crossings: { once: { sent, recomputed: [] } } };
}

function composeBlock(named: readonly NamedParts[], manifest: Manifest, block: Block, phase: Phase) {
  const model = named[block.stage]?.parts.graphs[phase];
  const stage = manifest.stages[block.stage];
  if (model === undefined || stage === undefined) return undefined;
  const segment = { stage: block.stage, from: block.index, to: block.index + 1 };
  const reads = new Set(statesOf(stage, segment).map((state) => state.input));
  const composed = segmentGraph(manifest, toModelGraph(model), segment, phase);
  for (const input of composed.inputs) {
    const foreign =
      stage.kind === 'loop' && stage.states.some((state) => state.input === input) && !reads.has(input);
    if (foreign)
      throw new IsthmusError('internal', `block ${block.index} would read state '${input}' of another block`);
  }
  return composed;
}

function blockNodes(named: readonly NamedParts[], manifest: Manifest, block: Block): number {
  return PHASES.reduce(
    (sum, phase) => sum + (composeBlock(named, manifest, block, phase)?.model.graph.nodes.length ?? 0),
    0,
  );
}

function weightUses(named: readonly NamedParts[], manifest: Manifest): WeightUse[] {
  const uses = new Map<string, { source: number; tensor: WeightUse['tensor']; blocks: Set<number> }>();
  for (const block of manifest.blocks) {
    for (const phase of PHASES) {
      for (const tensor of composeBlock(named, manifest, block, phase)?.model.graph.initializers ?? []) {
        if (isInline(tensor)) continue;
        const key = weightKey(block.stage, tensor.name);
        const use = uses.get(key) ?? { source: block.stage, tensor, blocks: new Set<number>() };
        use.blocks.add(block.index);
        uses.set(key, use);
      }
    }
  }
  return [...uses.values()];
}
