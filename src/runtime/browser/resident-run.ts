/** One run of a session over tensors in the heap: `OrtRun`, without a copy that is not asked for. */
import type { InferenceSession } from 'onnxruntime-common';
import type { HeldTensor } from '../shared-weights.ts';
import type { HeapTensor, ResidentHeap } from './resident-heap.ts';

/**
 * The native session behind one of onnxruntime-web's; `undefined` where it cannot be told.
 * The handler is what onnxruntime-common's session forwards to; its field is private only by type.
 */
export function nativeSession(session: InferenceSession): number | undefined {
  const { handler } = session as unknown as { handler?: { sessionId?: unknown } };
  const id = handler?.sessionId;
  return typeof id === 'number' && id > 0 ? id : undefined;
}

/**
 * Runs and returns the outputs by name, in the order asked for. `outputs` names a tensor where the
 * result is to be written to, which may be an input at the same time; where it names none the runtime
 * makes one, which is the caller's to release.
 * @throws IsthmusError `run-failed` with the runtime's words
 */
export async function runInHeap(
  heap: ResidentHeap,
  session: number,
  inputs: ReadonlyMap<string, HeldTensor>,
  outputs: ReadonlyMap<string, HeapTensor | undefined>,
): Promise<Map<string, HeapTensor>> {
  const { module } = heap;
  const width = module.PTR_SIZE;
  const ins = [...inputs];
  const outs = [...outputs];
  // Not on the stack: where the runtime suspends, others may use the stack meanwhile.
  const table = module._malloc(2 * width * (ins.length + outs.length));
  const inputNames = table;
  const inputValues = inputNames + width * ins.length;
  const outputNames = inputValues + width * ins.length;
  const outputValues = outputNames + width * outs.length;
  try {
    ins.forEach(([name, tensor], index) => {
      module.setValue(inputNames + index * width, heap.name(name), '*');
      module.setValue(inputValues + index * width, tensor.handle, '*');
    });
    outs.forEach(([name, tensor], index) => {
      module.setValue(outputNames + index * width, heap.name(name), '*');
      module.setValue(outputValues + index * width, tensor?.handle ?? 0, '*');
    });
    const running = module._OrtRun(
      session,
      inputNames,
      inputValues,
      ins.length,
      outputNames,
      outs.length,
      outputValues,
      0,
    );
    const failed = typeof running === 'number' ? running : await running;
    if (failed !== 0) throw heap.lastError('the runtime failed');
    const handles = outs.map((_, index) => module.getValue(outputValues + index * width, '*') >>> 0);
    const made = adoptAll(heap, outs, handles);
    separate(heap, made, ins, outputs);
    return made;
  } finally {
    module._free(table);
  }
}

/** All or nothing: when one of the outputs cannot be read, none stays behind. */
function adoptAll(
  heap: ResidentHeap,
  outs: readonly (readonly [string, HeapTensor | undefined])[],
  handles: readonly number[],
): Map<string, HeapTensor> {
  const made = new Map<string, HeapTensor>();
  const mine: HeapTensor[] = [];
  outs.forEach(([name, given], index) => {
    const handle = handles[index] ?? 0;
    if (given?.handle === handle) {
      made.set(name, given);
      return;
    }
    try {
      const tensor = heap.adopt(handle);
      mine.push(tensor);
      made.set(name, tensor);
    } catch (error) {
      for (const tensor of mine) heap.release(tensor);
      for (const later of handles.slice(index + 1)) {
        if (!outs.some(([, tensor]) => tensor?.handle === later)) heap.module._OrtReleaseTensor(later);
      }
      throw error;
    }
  });
  return made;
}

/** An output that is an input as it stands shares its memory, which may be freed before the output is. */
function separate(
  heap: ResidentHeap,
  made: Map<string, HeapTensor>,
  ins: readonly (readonly [string, HeldTensor])[],
  outputs: ReadonlyMap<string, HeapTensor | undefined>,
): void {
  const pointers = new Set(ins.map(([, tensor]) => tensor.pointer));
  for (const [name, tensor] of made) {
    if (tensor === outputs.get(name) || !pointers.has(tensor.pointer)) continue;
    const copy = heap.create(tensor.dtype, tensor.dims);
    heap.bytes(copy).set(heap.bytes(tensor));
    heap.release(tensor);
    made.set(name, copy);
  }
}
