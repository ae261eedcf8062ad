import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { growInSmallSteps, limitGrowth } from '../../../src/runtime/browser/resident-growth.ts';

const PAGE = 65536;

/** What Emscripten does when its heap is too small: three offers, each smaller, until one is taken. */
function enlarge(memory: WebAssembly.Memory, neededBytes: number): boolean {
  const old = memory.buffer.byteLength;
  for (let cut = 1; cut <= 4; cut *= 2) {
    const wanted = Math.max(neededBytes, old * (1 + 0.2 / cut));
    try {
      memory.grow(Math.ceil((wanted - old) / PAGE));
      return true;
    } catch {}
  }
  return false;
}

const makeMemory = (initial: number, maximum: number) =>
  new WebAssembly.Memory({ initial, maximum, shared: true });

describe('growth of the heap', () => {
  it('takes the smallest of three offers, and never less than is needed', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 12 }), (more) => {
        const memory = makeMemory(100, 2000);
        limitGrowth(memory);
        for (const pages of more) {
          const before = memory.buffer.byteLength;
          const needed = before + pages * PAGE;
          expect(enlarge(memory, needed)).toBe(true);
          const after = memory.buffer.byteLength;
          expect(after).toBeGreaterThanOrEqual(needed);
          expect(after).toBeLessThan(Math.max(needed, before * 1.05) + PAGE);
        }
      }),
      { numRuns: 20 },
    );
  });

  it('fails where there is no room, and grows again after that', () => {
    const memory = makeMemory(100, 150);
    limitGrowth(memory);
    expect(enlarge(memory, 151 * PAGE)).toBe(false);
    expect(enlarge(memory, 120 * PAGE)).toBe(true);
    expect(memory.buffer.byteLength).toBe(120 * PAGE);
  });

  it('is limited for memories made meanwhile alone', () => {
    const plain = WebAssembly.Memory;
    const restore = growInSmallSteps();
    const limited = makeMemory(100, 200);
    restore();
    expect(WebAssembly.Memory).toBe(plain);
    expect(limited).toBeInstanceOf(plain);
    enlarge(limited, 101 * PAGE);
    expect(limited.buffer.byteLength).toBe(105 * PAGE);
    const free = makeMemory(100, 200);
    enlarge(free, 101 * PAGE);
    expect(free.buffer.byteLength).toBe(120 * PAGE);
  });
});
