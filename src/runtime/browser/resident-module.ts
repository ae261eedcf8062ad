/**
 * onnxruntime-web copies every input into the WASM heap and every output out of it at each run, and has
 * no way to say that a tensor should stay there. What it is built on has: the C API that its Emscripten
 * module exports. This gets hold of that module, which the library keeps to itself.
 *
 * The module is the very object that the library hands to Emscripten's factory, and the factory begins by
 * giving it a method `mountExternalData`. For the time that the runtime takes to start, a setter of
 * that name on `Object.prototype` sees the assignment and with it the object. Nothing else changes: no
 * other script is loaded, no URL is made, so bundlers, content security policies and threads are as
 * they were. Where it does not work (a frozen prototype, another version of the library), nothing is
 * captured and the public API is used.
 */
import { growInSmallSteps } from './resident-growth.ts';

/** The part of onnxruntime's WASM module that is used; see its `lib/wasm/wasm-types.ts`, 1.30.0. */
export interface OrtModule {
  /** Replaced when memory grows: never keep it over a call. */
  readonly HEAPU8: Uint8Array;
  readonly PTR_SIZE: number;
  /** Keeps what stands for a file of weights, under its path, until the next session stands. */
  mountExternalData(path: string, file: object): void;
  _malloc(bytes: number): number;
  _free(pointer: number): void;
  stackSave(): number;
  stackRestore(stack: number): void;
  stackAlloc(bytes: number): number;
  getValue(pointer: number, type: string): number;
  setValue(pointer: number, value: number, type: string): void;
  UTF8ToString(pointer: number): string;
  stringToUTF8(text: string, pointer: number, bytes: number): void;
  lengthBytesUTF8(text: string): number;
  _OrtCreateTensor(
    dataType: number,
    data: number,
    bytes: number,
    dims: number,
    rank: number,
    location: number,
  ): number;
  _OrtGetTensorData(tensor: number, dataType: number, data: number, dims: number, rank: number): number;
  _OrtReleaseTensor(tensor: number): number;
  _OrtFree(pointer: number): number;
  _OrtGetLastError(code: number, message: number): number;
  _OrtRun(
    session: number,
    inputNames: number,
    inputs: number,
    inputCount: number,
    outputNames: number,
    outputCount: number,
    outputs: number,
    runOptions: number,
  ): number | Promise<number>;
}

const FUNCTIONS = [
  'mountExternalData',
  '_malloc',
  '_free',
  'stackSave',
  'stackRestore',
  'stackAlloc',
  'getValue',
  'setValue',
  'UTF8ToString',
  'stringToUTF8',
  'lengthBytesUTF8',
  '_OrtCreateTensor',
  '_OrtGetTensorData',
  '_OrtReleaseTensor',
  '_OrtFree',
  '_OrtGetLastError',
  '_OrtRun',
] as const;

/** What Emscripten's factory assigns first. */
const FIRST_PROPERTY = 'mountExternalData';

/** Runs `start` and says which module was made meanwhile, if one was. */
export async function captureModule<T>(
  start: () => Promise<T>,
): Promise<{ readonly value: T; readonly module?: OrtModule }> {
  let seen: unknown;
  const set = watch((object) => {
    seen ??= object;
  });
  const restore = growInSmallSteps();
  try {
    const value = await start();
    return isOrtModule(seen) ? { value, module: seen } : { value };
  } finally {
    restore();
    if (set) Reflect.deleteProperty(Object.prototype, FIRST_PROPERTY);
  }
}

function watch(found: (object: object) => void): boolean {
  return Reflect.defineProperty(Object.prototype, FIRST_PROPERTY, {
    configurable: true,
    enumerable: false,
    get: () => undefined,
    set(this: object, value: unknown) {
      Object.defineProperty(this, FIRST_PROPERTY, {
        value,
        writable: true,
        enumerable: true,
        configurable: true,
      });
      found(this);
    },
  });
}

/** Everything that is used is there, with pointers of 32 bits. Checked after start: exports come late. */
function isOrtModule(value: unknown): value is OrtModule {
  if (typeof value !== 'object' || value === null) return false;
  const module = value as Partial<Record<keyof OrtModule, unknown>>;
  return (
    module.PTR_SIZE === 4 &&
    module.HEAPU8 instanceof Uint8Array &&
    FUNCTIONS.every((name) => typeof module[name] === 'function')
  );
}
