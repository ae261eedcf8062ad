/** A small but complete manifest: an encoder of two blocks and a decoder of three, made up for tests. */
import { createHash } from 'node:crypto';
import type { CrossingTensor, Manifest, StateEntry } from '../../src/package/manifest.ts';

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Bytes that differ from seed to seed and do not repeat in short periods. */
export function sampleBytes(length: number, seed: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  let state = (seed * 2654435761 + 1) >>> 0;
  for (let i = 0; i < length; i += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

/** The content of every file that the manifest of `sampleManifest` names. */
export function sampleFiles(shardBytes = 3000): ReadonlyMap<string, Uint8Array<ArrayBuffer>> {
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  for (let block = 0; block < 5; block += 1) {
    const bytes = sampleBytes(shardBytes + block, block);
    files.set(`shards/${sha256(bytes)}.bin`, bytes);
  }
  files.set('graphs/encoder.onnx', sampleBytes(700, 10));
  files.set('graphs/init.onnx', sampleBytes(300, 11));
  files.set('graphs/step.onnx', sampleBytes(900, 12));
  files.set('tokenizer.json', sampleBytes(400, 13));
  return files;
}

function hidden(name: string): CrossingTensor {
  return {
    name,
    dtype: 'float32',
    dims: [1, null, 8],
    bytes: { base: -32, perUnit: 0.25 },
    lossy: true,
  };
}

function state(block: number, origin: 'init' | 'step'): StateEntry {
  return {
    input: `past.${block}.${origin}`,
    output: `present.${block}.${origin}`,
    origin,
    dtype: 'float32',
    dims: [1, 2, null, 4],
    block,
    ...(origin === 'step' ? { growth: 'append', axis: 2 } : { growth: 'replace' }),
  };
}

export function sampleManifest(files = sampleFiles()): Manifest {
  const shards = [...files.keys()].filter((path) => path.startsWith('shards/'));
  const once = { sent: [hidden('hidden')], recomputed: ['mask'] };
  const step = { sent: [hidden('residual')], recomputed: [] };
  return {
    format: 'isthmus-package',
    version: 2,
    name: 'sample',
    stages: [
      {
        kind: 'once',
        name: 'encoder',
        from: 0,
        to: 2,
        graphs: { once: 'graphs/encoder.onnx' },
        inputs: [{ name: 'audio', dtype: 'float32', dims: [1, null] }],
        outputs: [{ name: 'context', dtype: 'float32', dims: [1, null, 8] }],
        extent: { input: 'audio', axis: 1 },
        rows: { base: -1, perUnit: 1 / 384 },
      },
      {
        kind: 'loop',
        name: 'decoder',
        from: 2,
        to: 5,
        graphs: { init: 'graphs/init.onnx', step: 'graphs/step.onnx' },
        tokenInput: { name: 'ids', dtype: 'int64', dims: [1, null] },
        logits: 'logits',
        context: [{ input: 'encoder_states', output: 'context' }],
        states: [state(2, 'init'), state(2, 'step'), state(3, 'step'), state(4, 'step')],
        feeds: [],
        vocabulary: 100,
      },
    ],
    blocks: shards.map((shard, index) => ({
      index,
      stage: index < 2 ? 0 : 1,
      shards: index === 0 ? [shard] : [shard, shards[0] ?? shard],
      weightBytes: 3000 + index,
      nodes: 12,
    })),
    cuts: [
      { cut: 0, crossings: { once } },
      { cut: 1, crossings: { once } },
      { cut: 2, crossings: { once } },
      { cut: 3, crossings: { init: once, step } },
      { cut: 4, crossings: { step } },
      { cut: 5, crossings: {} },
    ],
    files: Object.fromEntries(
      [...files].map(([path, bytes]) => [path, { sha256: sha256(bytes), bytes: bytes.byteLength }]),
    ),
    tokenizer: { tokenizer: 'tokenizer.json' },
    generation: { bosToken: 1, eosTokens: [2], maxTokens: 194 },
    audio: { sampleRate: 16_000, maxTokensPerSecond: 6.5 },
    notes: ['made for a test'],
  };
}
