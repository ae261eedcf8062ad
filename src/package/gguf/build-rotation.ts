/**
 * An orthogonal change of basis that spreads outliers: in a trained model a few axes of the residual
 * stream are far larger than the rest, and 8 bits with one scale for a row would round the others away.
 * In a random basis all axes are alike. Weights around the stream are turned with it (as in QuaRot, arXiv
 * 2404.00456), so the model computes what it did and the turn costs nothing when it runs.
 *
 * The matrix is `diag(signs) x (Hadamard (x) cosines)`: a vector of `blocks * width` elements seen as a
 * table is multiplied by a Hadamard matrix down its columns and by a cosine matrix along its rows.
 */

/** Larger Hadamard parts spread no better and cost more where the turn is made at run time. */
const MAX_BLOCKS = 64;

/** Signs depend on this alone, so that equal weights give equal packages. */
const SEED = 0x9e3779b9;

export interface Rotation {
  readonly size: number;
  /** Rows of the table: a power of two. */
  readonly blocks: number;
  /** Columns of the table. */
  readonly width: number;
  /** `[size]`, each 1 or -1. */
  readonly signs: Float32Array;
  /** `[blocks, blocks]`, symmetric and orthonormal. */
  readonly hadamard: Float32Array;
  /** `[width, width]`, orthonormal; a row vector is multiplied by it from the right. */
  readonly cosines: Float32Array;
  /** Multiplies one vector from the right; its elements lie `stride` apart. In place. */
  readonly turn: (values: Float32Array, offset: number, stride: number) => void;
}

/** The largest power of two that divides `size`, at most `limit`. */
export function powerOfTwoIn(size: number, limit: number): number {
  let power = 1;
  while (2 * power <= limit && size % (2 * power) === 0) power *= 2;
  return power;
}

export function rotation(size: number): Rotation {
  const blocks = powerOfTwoIn(size, MAX_BLOCKS);
  const width = size / blocks;
  const hadamard = hadamardMatrix(blocks);
  const cosines = cosineMatrix(width);
  const signs = randomSigns(size);
  return { size, blocks, width, signs, hadamard, cosines, turn: turner({ blocks, width, signs, cosines }) };
}

/** Sylvester's, scaled to be orthonormal: entry `(i, j)` is negative where `i & j` has an odd number of ones. */
export function hadamardMatrix(size: number): Float32Array {
  const scale = 1 / Math.sqrt(size);
  return Float32Array.from({ length: size * size }, (_, index) => {
    let common = Math.floor(index / size) & (index % size);
    let isNegative = false;
    while (common !== 0) {
      isNegative = !isNegative;
      common &= common - 1;
    }
    return isNegative ? -scale : scale;
  });
}

/** The orthonormal discrete cosine transform. */
function cosineMatrix(size: number): Float32Array {
  return Float32Array.from({ length: size * size }, (_, index) => {
    const column = index % size;
    const scale = Math.sqrt((column === 0 ? 1 : 2) / size);
    return scale * Math.cos((Math.PI * (2 * Math.floor(index / size) + 1) * column) / (2 * size));
  });
}

/** From a linear congruential generator's highest bit. */
function randomSigns(size: number): Float32Array {
  let state = SEED;
  return Float32Array.from({ length: size }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >= 2 ** 31 ? 1 : -1;
  });
}

function turner({
  blocks,
  width,
  signs,
  cosines,
}: Pick<Rotation, 'blocks' | 'width' | 'signs' | 'cosines'>): Rotation['turn'] {
  const size = blocks * width;
  const table = new Float64Array(size);
  const scale = 1 / Math.sqrt(blocks);
  return (values, offset, stride) => {
    for (let index = 0; index < size; index += 1) {
      table[index] = (values[offset + index * stride] ?? 0) * (signs[index] ?? 0);
    }
    butterflies(table, width);
    for (let block = 0; block < blocks; block += 1) {
      for (let column = 0; column < width; column += 1) {
        let sum = 0;
        for (let index = 0; index < width; index += 1) {
          sum += (table[block * width + index] ?? 0) * (cosines[index * width + column] ?? 0);
        }
        values[offset + (block * width + column) * stride] = sum * scale;
      }
    }
  };
}

/** The fast Walsh-Hadamard transform down the columns of a table `[.., width]`, not scaled. In place. */
export function butterflies(table: Float64Array, width: number): void {
  for (let half = width; half < table.length; half *= 2) {
    for (let from = 0; from < table.length; from += 2 * half) {
      for (let index = from; index < from + half; index += 1) {
        const first = table[index] ?? 0;
        const second = table[index + half] ?? 0;
        table[index] = first + second;
        table[index + half] = first - second;
      }
    }
  }
}
