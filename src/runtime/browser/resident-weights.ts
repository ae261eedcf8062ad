/**
 * Weights on their way into the WASM heap. onnxruntime-web keeps all shards of a session in buffers of
 * JavaScript's until the session stands, when the heap has a copy of every one: twice the weights, at the
 * worst moment. Here each weight is a buffer of its own, given back as soon as the runtime has copied it.
 */
import { IsthmusError } from '../../errors.ts';
import type { OnnxModel } from '../../graph/onnx-types.ts';

export interface Shard {
  readonly path: string;
  readonly data: Uint8Array;
}

/** What the runtime asks of a file of weights: the bytes of one tensor after the other (1.30.0). */
export interface MountedFile {
  readonly byteLength: number;
  /** The bytes may be read until the next call. */
  subarray(from: number, to: number): Uint8Array;
}

export interface MountedWeights {
  readonly files: readonly { readonly path: string; readonly file: MountedFile }[];
  /** Gives back what was not asked for. */
  close(): void;
}

interface Piece {
  readonly bytes: Uint8Array;
  /** How often it will be asked for: weights may share their bytes. */
  uses: number;
}

/**
 * Takes the shards apart; their buffers are given back, so they must be the caller's own. Throws
 * `run-failed` where the model points outside them.
 */
export function mountWeights(model: OnnxModel, shards: readonly Shard[]): MountedWeights {
  const pieces = new Map<string, Piece>();
  let copied: Piece | undefined;
  const release = (): void => {
    if (copied?.uses === 0) giveBack(copied.bytes);
    copied = undefined;
  };
  const files = shards.map(({ path, data }) => {
    const byteLength = data.byteLength;
    for (const [from, to] of rangesIn(model, path, byteLength)) {
      const key = `${path}:${from}-${to}`;
      const known = pieces.get(key);
      if (known === undefined) pieces.set(key, { bytes: data.slice(from, to), uses: 1 });
      else known.uses += 1;
    }
    giveBack(data);
    const subarray = (from: number, to: number): Uint8Array => {
      release();
      const piece = pieces.get(`${path}:${from}-${to}`);
      if (piece === undefined || piece.uses === 0) {
        throw new IsthmusError('internal', `bytes ${from} to ${to} of ${path} were not expected to be read`);
      }
      piece.uses -= 1;
      copied = piece;
      return piece.bytes;
    };
    return { path, file: { byteLength, subarray } };
  });
  return {
    files,
    close: () => {
      for (const { bytes } of pieces.values()) giveBack(bytes);
      pieces.clear();
    },
  };
}

function rangesIn(model: OnnxModel, path: string, byteLength: number): (readonly [number, number])[] {
  return model.graph.initializers.flatMap(({ name, external }) => {
    if (external?.location !== path) return [];
    const from = external.offset;
    const to = external.length === undefined ? byteLength : from + external.length;
    if (to > byteLength) throw new IsthmusError('run-failed', `weight '${name}' points beyond its shard`);
    return [[from, to] as const];
  });
}

/** Frees the buffer now where the browser can (`transfer`, 2024), else when it is collected. */
function giveBack({ buffer }: Uint8Array): void {
  const { transfer } = buffer as { transfer?: (bytes: number) => unknown };
  if (buffer.byteLength > 0) transfer?.call(buffer, 0);
}
