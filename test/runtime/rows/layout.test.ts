/** Intermediates that live at the same time have places of their own. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { layOut, MAX_PICKED, MAX_ROWS, meetsBehind } from '../../../src/runtime/rows/layout.ts';
import type { Kind, Operation, Program, RowBuffer, Rows } from '../../../src/runtime/rows/program.ts';

const KINDS: readonly Kind[] = ['norm', 'quantise', 'add', 'product', 'attend', 'gated', 'product'];

interface Sketch {
  readonly kind: Kind;
  readonly rowBytes: number;
  /** Which of the buffers made so far it reads. */
  readonly reads: readonly number[];
}

const sketches = (maxLength: number) =>
  fc.array(
    fc.record({
      kind: fc.constantFrom(...KINDS),
      rowBytes: fc.integer({ min: 1, max: 100 }).map((n) => n * 4),
      reads: fc.array(fc.nat(), { minLength: 1, maxLength: 3 }),
    }),
    { minLength: 1, maxLength },
  );

function programOf(
  body: readonly Sketch[],
  head: readonly Sketch[],
  inputs: number,
  outputs: number,
): Program {
  const buffers: RowBuffer[] = Array.from({ length: inputs }, (_, id) => ({ id, rowBytes: 32 + 4 * id }));
  const given = [...buffers];
  const write = ({ kind, rowBytes, reads }: Sketch, from: readonly RowBuffer[]): Operation => {
    const made = { id: buffers.length, rowBytes };
    const read = reads.map((index) => ({ buffer: from[index % from.length] ?? made }));
    buffers.push(made);
    return { kind, args: [{ buffer: made }, ...read, { int: 3 }] };
  };
  const bodyOps = body.map((sketch) => write(sketch, [...buffers]));
  const inBody = buffers.length;
  const headOps = head.map((sketch, index) =>
    index === 0
      ? write({ ...sketch, kind: 'pick' }, buffers.slice(0, inBody))
      : write(sketch, buffers.slice(inBody)),
  );
  const rows = (buffer: RowBuffer): Rows => ({ buffer, width: buffer.rowBytes / 4, dtype: 'float32' });
  const kept = buffers.slice(inputs, inBody).slice(-outputs);
  const scored = headOps.length === 0 ? [] : buffers.slice(-1);
  return {
    body: bodyOps,
    head: headOps,
    inputs: new Map(given.map((buffer) => [`in${buffer.id}`, rows(buffer)])),
    outputs: new Map<string, Rows & { readonly picked: boolean }>([
      ...kept.map((buffer) => [`out${buffer.id}`, { ...rows(buffer), picked: false }] as const),
      ...scored.map((buffer) => [`out${buffer.id}`, { ...rows(buffer), picked: true }] as const),
    ]),
    ...{ tokens: undefined, picked: undefined, layers: [] },
  };
}

interface Life {
  readonly bytes: number;
  first: number;
  last: number;
}

/** Operations between which each buffer is written or read, the last one moved on to the next meeting. */
function livesOf(program: Program): Map<number, Life> {
  const lives = new Map<number, Life>();
  const { body, head } = program;
  const operations = [...body, ...head];
  const live = (buffer: RowBuffer, index: number, inHead: boolean): void => {
    const life = lives.get(buffer.id);
    const bytes = buffer.rowBytes * (inHead ? MAX_PICKED : MAX_ROWS);
    if (life === undefined) lives.set(buffer.id, { bytes, first: index, last: index });
    else life.last = Math.max(life.last, index);
  };
  for (const { buffer } of program.inputs.values()) live(buffer, -1, false);
  operations.forEach(({ args }, index) => {
    for (const arg of args) if ('buffer' in arg) live(arg.buffer, index, index >= body.length);
  });
  for (const life of lives.values()) {
    // The head runs several times over what the body has left.
    if (life.first < body.length && life.last >= body.length) life.last = Infinity;
    const meets = (index: number): boolean =>
      index < body.length ? meetsBehind(body, index) : meetsBehind(head, index - body.length);
    while (life.last >= 0 && life.last < operations.length && !meets(life.last)) life.last += 1;
  }
  for (const { buffer } of [...program.inputs.values(), ...program.outputs.values()]) {
    const life = lives.get(buffer.id);
    if (life !== undefined) life.last = Infinity;
  }
  return lives;
}

function expectApart(program: Program): void {
  const { offsets, bytes } = layOut(program);
  const lives = [...livesOf(program)];
  for (const [id, life] of lives) {
    const at = offsets.get(id) ?? Number.NaN;
    expect(at).toBeGreaterThanOrEqual(0);
    expect(at % 64).toBe(0);
    expect(at + life.bytes).toBeLessThanOrEqual(bytes);
    for (const [other, { bytes: size, first, last }] of lives) {
      if (other <= id || first > life.last || life.first > last) continue;
      const from = offsets.get(other) ?? Number.NaN;
      expect(from >= at + life.bytes || at >= from + size, `${id} and ${other}`).toBe(true);
    }
  }
}

describe('the layout', () => {
  it('keeps apart what lives at the same time, any program', () => {
    fc.assert(
      fc.property(
        sketches(25),
        fc.oneof(fc.constant([]), sketches(6)),
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 1, max: 3 }),
        (body, head, inputs, outputs) => expectApart(programOf(body, head, inputs, outputs)),
      ),
      { numRuns: 400 },
    );
  });

  it('uses a place again only behind a meeting', () => {
    const rowwise = Array.from({ length: 6 }, (): Sketch => ({ kind: 'norm', rowBytes: 64, reads: [99] }));
    const chain = (kind: Kind): number => {
      const body = rowwise.map((sketch, index) => ({ ...sketch, kind, reads: [index] }));
      return layOut(programOf(body, [], 1, 1)).bytes;
    };
    expect(chain('norm')).toBe((32 + 6 * 64) * MAX_ROWS);
    // The input, and two that take turns.
    expect(chain('product')).toBe((32 + 2 * 64) * MAX_ROWS);
  });

  it('lets threads meet round what they share, and at the end', () => {
    const of = (...kinds: Kind[]): boolean[] => {
      const list = kinds.map((kind): Operation => ({ kind, args: [] }));
      return list.map((_, index) => meetsBehind(list, index));
    };
    expect(of('norm', 'quantise', 'product', 'add', 'norm')).toEqual([false, true, true, false, true]);
    expect(of('rotate', 'attend', 'quantise')).toEqual([true, true, true]);
    expect(of('product', 'product')).toEqual([true, true]);
  });
});
