/** Groups weights by the blocks that read them, so that a plan fetches only what its blocks need. */
import { IsthmusError } from '../../errors.ts';
import { withGraph } from '../../graph/model-graph.ts';
import type { OnnxModel, OnnxTensor } from '../../graph/onnx-types.ts';

/** Smaller tensors stay in the graph: runtimes read them while they build (shapes, axes, scalars). */
export const INLINE_BYTES = 4096;

/** Shards stay below this so that an interrupted download loses little and memory peaks stay low. */
export const MAX_SHARD_BYTES = 64 * 2 ** 20;

/** Enough for every runtime's vector loads. */
const ALIGNMENT = 64;

export interface WeightUse {
  /** Where the weight comes from: names are unique within one source file only. */
  readonly source: number;
  readonly tensor: OnnxTensor;
  /** Global indices of the blocks that read it. */
  readonly blocks: ReadonlySet<number>;
}

export interface PlacedWeight {
  readonly shard: string;
  readonly offset: number;
  readonly length: number;
}

export interface Shard {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly blocks: ReadonlySet<number>;
}

export interface ShardSet {
  readonly shards: readonly Shard[];
  /** By `source:name`. */
  readonly places: ReadonlyMap<string, PlacedWeight>;
}

export function weightKey(source: number, name: string): string {
  return `${source}:${name}`;
}

export function isInline(tensor: OnnxTensor): boolean {
  return tensor.data === undefined || tensor.data.byteLength <= INLINE_BYTES;
}

/** @param hash lower-case hex SHA-256 */
export async function makeShards(
  weights: readonly WeightUse[],
  hash: (bytes: Uint8Array) => Promise<string>,
): Promise<ShardSet> {
  const shards: Shard[] = [];
  const places = new Map<string, PlacedWeight>();
  for (const group of groups(weights)) {
    const { bytes, offsets } = pack(group);
    const name = `${await hash(bytes)}.bin`;
    group.forEach((use, index) => {
      const length = use.tensor.data?.byteLength ?? 0;
      places.set(weightKey(use.source, use.tensor.name), {
        shard: name,
        offset: offsets[index] ?? 0,
        length,
      });
    });
    shards.push({ name, bytes, blocks: group[0]?.blocks ?? new Set() });
  }
  return { shards, places };
}

/** Weights read by the same blocks, in runs of at most `MAX_SHARD_BYTES`. */
function groups(weights: readonly WeightUse[]): WeightUse[][] {
  const byBlocks = new Map<string, WeightUse[][]>();
  for (const use of weights) {
    const key = [...use.blocks].sort((a, b) => a - b).join(',');
    const runs = byBlocks.get(key) ?? [];
    byBlocks.set(key, runs);
    const last = runs.at(-1);
    const size = (run: readonly WeightUse[]): number =>
      run.reduce((sum, item) => sum + (item.tensor.data?.byteLength ?? 0), 0);
    if (last === undefined || size(last) + (use.tensor.data?.byteLength ?? 0) > MAX_SHARD_BYTES)
      runs.push([use]);
    else last.push(use);
  }
  return [...byBlocks.values()].flat();
}

function pack(group: readonly WeightUse[]): { bytes: Uint8Array; offsets: number[] } {
  const offsets: number[] = [];
  let size = 0;
  for (const { tensor } of group) {
    size = Math.ceil(size / ALIGNMENT) * ALIGNMENT;
    offsets.push(size);
    size += tensor.data?.byteLength ?? 0;
  }
  const bytes = new Uint8Array(size);
  group.forEach(({ tensor }, index) => {
    if (tensor.data !== undefined) bytes.set(tensor.data, offsets[index] ?? 0);
  });
  return { bytes, offsets };
}

/** The model with its placed weights pointing into shards. */
export function weightless(model: OnnxModel, source: number, set: ShardSet): OnnxModel {
  const initializers = model.graph.initializers.map((tensor): OnnxTensor => {
    if (isInline(tensor)) return tensor;
    const place = set.places.get(weightKey(source, tensor.name));
    if (place === undefined) throw new IsthmusError('internal', `the weight '${tensor.name}' has no shard`);
    const { data: _data, ...rest } = tensor;
    return { ...rest, external: { location: place.shard, offset: place.offset, length: place.length } };
  });
  return withGraph(model, { initializers });
}
