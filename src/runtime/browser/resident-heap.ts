/** Memory and tensors in the WASM heap of onnxruntime, with an account of what is held. */
import { byteLengthOf, type DType } from '../../core/tensor.ts';
import { IsthmusError } from '../../errors.ts';
import { dataTypeOf, dtypeOf } from '../../graph/onnx-types.ts';
import type { OrtModule } from './resident-module.ts';

/** A tensor whose bytes lie in the heap; of use until it is released. */
export interface HeapTensor {
  /** The runtime's `OrtValue`. */
  readonly handle: number;
  readonly dtype: DType;
  readonly dims: readonly number[];
  readonly pointer: number;
  readonly byteLength: number;
  /** True where the memory is ours to free, false where the runtime frees it with the handle. */
  readonly isOurs: boolean;
}

/** `OrtMemTypeCPU`-like location of `_OrtCreateTensor`: plain memory (`dataLocationStringToEnum('cpu')`). */
const LOCATION_CPU = 1;

export class ResidentHeap {
  readonly module: OrtModule;
  readonly #names = new Map<string, number>();
  #tensors = 0;
  #bytes = 0;

  constructor(module: OrtModule) {
    this.module = module;
  }

  /** Tensors that are held now, and the bytes of those whose memory is ours. */
  get held(): { readonly tensors: number; readonly bytes: number } {
    return { tensors: this.#tensors, bytes: this.#bytes };
  }

  /** Bytes that the heap takes from the page; it never shrinks. */
  get heapBytes(): number {
    this.#refresh();
    return this.module.HEAPU8.byteLength;
  }

  /** A tensor of ours, its bytes not set. Throws `run-failed` when the heap cannot grow any more. */
  create(dtype: DType, dims: readonly number[]): HeapTensor {
    const { module } = this;
    const byteLength = byteLengthOf(dtype, dims);
    // Empty tensors need an address too.
    const pointer = module._malloc(Math.max(1, byteLength));
    if (pointer === 0) {
      throw new IsthmusError('run-failed', `the WASM heap has no room for ${byteLength} bytes more`);
    }
    const stack = module.stackSave();
    const extents = module.stackAlloc(module.PTR_SIZE * Math.max(1, dims.length));
    dims.forEach((dim, axis) => {
      module.setValue(extents + axis * module.PTR_SIZE, dim, 'i32');
    });
    const type = dataTypeOf(dtype);
    const handle = module._OrtCreateTensor(type, pointer, byteLength, extents, dims.length, LOCATION_CPU);
    module.stackRestore(stack);
    if (handle === 0) {
      const error = this.lastError('a tensor could not be made');
      module._free(pointer);
      throw error;
    }
    this.#tensors += 1;
    this.#bytes += byteLength;
    return { handle, dtype, dims: [...dims], pointer, byteLength, isOurs: true };
  }

  /** A tensor that the runtime made, by its handle; from here on it is counted and must be released. */
  adopt(handle: number): HeapTensor {
    const { module } = this;
    const width = module.PTR_SIZE;
    const stack = module.stackSave();
    try {
      const out = module.stackAlloc(4 * width);
      if (module._OrtGetTensorData(handle, out, out + width, out + 2 * width, out + 3 * width) !== 0) {
        throw this.lastError('an output could not be read');
      }
      const dtype = dtypeOf(module.getValue(out, 'i32'));
      const pointer = module.getValue(out + width, '*') >>> 0;
      const extents = module.getValue(out + 2 * width, '*') >>> 0;
      const rank = module.getValue(out + 3 * width, 'i32');
      const dims = Array.from({ length: rank }, (_, axis) => module.getValue(extents + axis * width, 'i32'));
      module._OrtFree(extents);
      if (dtype === undefined) {
        throw new IsthmusError('bad-tensor', 'the runtime made a tensor of a type that cannot be moved');
      }
      this.#tensors += 1;
      return { handle, dtype, dims, pointer, byteLength: byteLengthOf(dtype, dims), isOurs: false };
    } catch (error) {
      module._OrtReleaseTensor(handle);
      throw error;
    } finally {
      module.stackRestore(stack);
    }
  }

  release(tensor: HeapTensor): void {
    this.module._OrtReleaseTensor(tensor.handle);
    this.#tensors -= 1;
    if (!tensor.isOurs) return;
    this.module._free(tensor.pointer);
    this.#bytes -= tensor.byteLength;
  }

  /** The tensor's bytes where they lie. Of use only until the next call into the runtime. */
  bytes(tensor: HeapTensor): Uint8Array {
    this.#refresh();
    return this.module.HEAPU8.subarray(tensor.pointer, tensor.pointer + tensor.byteLength);
  }

  /** `name` as a C string. Kept for good: graphs share their names, and there are only so many. */
  name(name: string): number {
    const known = this.#names.get(name);
    if (known !== undefined) return known;
    const { module } = this;
    const bytes = module.lengthBytesUTF8(name) + 1;
    const pointer = module._malloc(bytes);
    module.stringToUTF8(name, pointer, bytes);
    this.#names.set(name, pointer);
    return pointer;
  }

  /** `run-failed`, with the reason that the runtime gives for the call that just failed. */
  lastError(what: string): IsthmusError {
    const { module } = this;
    const stack = module.stackSave();
    const out = module.stackAlloc(2 * module.PTR_SIZE);
    module._OrtGetLastError(out, out + module.PTR_SIZE);
    const text = module.getValue(out + module.PTR_SIZE, '*') >>> 0;
    const reason = text === 0 ? 'no reason given' : module.UTF8ToString(text);
    module.stackRestore(stack);
    return new IsthmusError('run-failed', `${what}: ${reason}`);
  }

  /** When another thread has grown the memory, the module's view of it is made anew by its next access. */
  #refresh(): void {
    this.module.getValue(0, 'i8');
  }
}
