/**
 * How much the WASM heap grows at a time. Emscripten asks for a fifth more than there is (or what it needs,
 * where that is more), then for a tenth, then for a twentieth, each when the one before was refused. A
 * fifth of a heap full of weights is tens of megabytes that nobody uses, so the first two are refused. Growth
 * is cheap: the address space is reserved from the start, and nothing is copied.
 *
 * See `emscripten_resize_heap` in Emscripten's `src/lib/libcore.js` (4.0).
 */

/** Requests that are made in one go, each smaller than the last. */
const OFFERS = 3;

type MemoryMaker = typeof WebAssembly.Memory;

/** Memories made until the returned function is called grow in small steps, for good. */
export function growInSmallSteps(): () => void {
  const plain = WebAssembly.Memory;
  const made = new Proxy(plain, {
    construct(target, args: ConstructorParameters<MemoryMaker>, newTarget) {
      const memory = Reflect.construct(target, args, newTarget) as WebAssembly.Memory;
      limitGrowth(memory);
      return memory;
    },
  });
  // Nobody's fault where a page has frozen it: the heap is then a little larger.
  if (!Reflect.set(WebAssembly, 'Memory', made)) return () => {};
  return () => {
    Reflect.set(WebAssembly, 'Memory', plain);
  };
}

/** Refuses a larger request once for each smaller one that will follow it. */
export function limitGrowth(memory: WebAssembly.Memory): void {
  const grow = memory.grow.bind(memory);
  let refused = 0;
  Object.defineProperty(memory, 'grow', {
    value: (pages: number): number => {
      if (refused < OFFERS - 1) {
        refused += 1;
        throw new RangeError('a smaller step, please');
      }
      refused = 0;
      return grow(pages);
    },
  });
}
