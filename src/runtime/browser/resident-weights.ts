/**
 * Weights on their way into the WASM heap. onnxruntime-web keeps all shards of a session in buffers of
 * JavaScript's until the session stands, when the heap has a copy of every one: twice the weights, at the
 * worst moment. Here each weight is a buffer of its own, given back as soon as the runtime has copied it,
 * unless the runtime may ask for it again.
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

/**
 * Operators that take weights as they are: the runtime reads a weight that only they use once, to put it
 * into the heap. What others use may be read before that as well, to compute constants from it.
 */
const READ_ONCE = new Set(['MatMulIntegerToFloat', 'Gather']);

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
  const readOnce = weightsReadOnce(model);
  let copied: Piece | undefined;
  const release = (): void => {
    if (copied?.uses === 0) giveBack(copied.bytes);
    copied = undefined;
  };
  const files = shards.map(({ path, data }) => {
    const byteLength = data.byteLength;
    for (const { name, from, to } of rangesIn(model, path, byteLength)) {
      const key = `${path}:${from}-${to}`;
      const uses = readOnce.has(name) ? 1 : Infinity;
      const known = pieces.get(key);
      if (known === undefined) pieces.set(key, { bytes: data.slice(from, to), uses });
      else known.uses += uses;
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

interface Range {
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

function rangesIn(model: OnnxModel, path: string, byteLength: number): Range[] {
  return model.graph.initializers.flatMap(({ name, external }) => {
    if (external?.location !== path) return [];
    const from = external.offset;
    const to = external.length === undefined ? byteLength : from + external.length;
    if (to > byteLength) throw new IsthmusError('run-failed', `weight '${name}' points beyond its shard`);
    return [{ name, from, to }];
  });
}

function weightsReadOnce({ graph }: OnnxModel): ReadonlySet<string> {
  const constant = new Set(graph.initializers.map(({ name }) => name));
  const once = new Set(constant);
  // Sub-graphs may use any weight by its name.
  const isPlain = graph.nodes.every((node) => node.attributes.every(({ graphs }) => graphs.length === 0));
  if (!isPlain) return new Set();
  for (const { opType, inputs, outputs } of graph.nodes) {
    // What is made of constants alone is one, and computed while the session is built.
    const isConstant = inputs.every((input) => input === '' || constant.has(input));
    if (isConstant) for (const output of outputs) constant.add(output);
    if (isConstant || !READ_ONCE.has(opType)) for (const input of inputs) once.delete(input);
  }
  return once;
}

/** Frees the buffer now where the browser can (`transfer`, 2024), else when it is collected. */
function giveBack({ buffer }: Uint8Array): void {
  const { transfer } = buffer as { transfer?: (bytes: number) => unknown };
  if (buffer.byteLength > 0) transfer?.call(buffer, 0);
}
