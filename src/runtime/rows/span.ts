/** One loaded span: its program with addresses, and how rows are run through it. */
import type { Tensor, TensorMap } from '../../core/tensor.ts';
import { makeTensor } from '../../core/tensor.ts';
import { IsthmusError } from '../../errors.ts';
import { neededFeed } from '../needed-feed.ts';
import { type Layout, layOut, MAX_PICKED, MAX_ROWS, meetsBehind } from './layout.ts';
import type { AttentionLayer, Operation, Program, Rows, WeightUse } from './program.ts';
import { type Addresses, OPERATION_BYTES } from './run-block.ts';

/** What a span needs of the place it runs in. */
export interface SpanPlace {
  readonly memory: WebAssembly.Memory;
  /** Where intermediates begin; it may move between runs. */
  scratch(): number;
  /** Runs operations `[from, from + count)` of the span at `program` over rows. */
  start(program: number, count: number, rows: RunRows): void;
}

export interface RunRows {
  readonly rows: number;
  readonly position: number;
  readonly tokens: readonly number[];
  readonly picked: readonly number[];
}

/** Rows that go through the span at once. */
export interface SpanRun {
  readonly rows: number;
  readonly position: number;
  readonly tokens: readonly number[];
  /** Indices of the rows whose scores are wanted, in their order. */
  readonly picked: readonly number[];
  /** Bytes of what crossed, row after row. */
  readonly inputs: ReadonlyMap<string, Uint8Array>;
  readonly fetches: readonly string[];
}

export function weightsOf(program: Program): WeightUse[] {
  return [...program.body, ...program.head].flatMap(({ args }) =>
    args.flatMap((argument) => ('weight' in argument ? [argument.weight] : [])),
  );
}

export class LoadedSpan {
  readonly program: Program;
  readonly layout: Layout;
  /** Where its operations lie. */
  readonly at: number;

  constructor(program: Program, at: number) {
    this.program = program;
    this.layout = layOut(program);
    this.at = at;
  }

  get layers(): readonly AttentionLayer[] {
    return this.program.layers;
  }

  /** Operations in the order in which they lie, and whether threads meet behind each. */
  get operations(): { readonly list: readonly Operation[]; readonly meets: (index: number) => boolean } {
    const { body, head } = this.program;
    const list = [...body, ...head];
    const meets = (index: number): boolean =>
      index < body.length ? meetsBehind(body, index) : meetsBehind(head, index - body.length);
    return { list, meets };
  }

  addresses(scratch: number, more: Pick<Addresses, 'weight' | 'layer'>): Addresses {
    return { ...more, buffer: (id) => scratch + (this.layout.offsets.get(id) ?? 0) };
  }

  /** Runs in pieces of `MAX_ROWS`; results lie in memory of JavaScript's. */
  run(place: SpanPlace, run: SpanRun): TensorMap {
    const { program } = this;
    const results = this.#results(run);
    const wanted = run.fetches.filter((name) => program.outputs.has(name));
    const scored = wanted.some((name) => program.outputs.get(name)?.picked === true);
    for (let from = 0; from < run.rows; from += MAX_ROWS) {
      const rows = Math.min(MAX_ROWS, run.rows - from);
      for (const [name, input] of program.inputs) this.#put(place, input, run.inputs.get(name), from, rows);
      const tokens = run.tokens.slice(from, from + rows);
      place.start(this.at, program.body.length, { rows, position: run.position + from, tokens, picked: [] });
      for (const name of wanted) {
        const output = program.outputs.get(name);
        if (output !== undefined && !output.picked) this.#take(place, output, results, name, from, rows);
      }
      if (scored) this.#score(place, run, wanted, results, from, rows);
    }
    return Object.fromEntries(
      wanted.map((name): [string, Tensor] => {
        const bytes = results.get(name) ?? new Uint8Array();
        const { width = 1, dtype = 'float32', buffer } = program.outputs.get(name) ?? {};
        const count = bytes.byteLength / (buffer?.rowBytes ?? 1);
        return [name, makeTensor(dtype, [1, count, width], bytes)];
      }),
    );
  }

  /** Scores of the picked rows among `[from, from + rows)`, a few at a time. */
  #score(
    place: SpanPlace,
    run: SpanRun,
    wanted: readonly string[],
    results: ReadonlyMap<string, Uint8Array>,
    from: number,
    rows: number,
  ): void {
    const { program } = this;
    const here = run.picked.flatMap((row, index) =>
      row >= from && row < from + rows ? [{ row: row - from, index }] : [],
    );
    for (let next = 0; next < here.length; next += MAX_PICKED) {
      const some = here.slice(next, next + MAX_PICKED);
      place.start(this.at + program.body.length * OPERATION_BYTES, program.head.length, {
        rows: some.length,
        position: run.position + from,
        tokens: [],
        picked: some.map(({ row }) => row),
      });
      for (const name of wanted) {
        const output = program.outputs.get(name);
        if (output === undefined || !output.picked) continue;
        const made = this.#view(place, output, some.length);
        const { rowBytes } = output.buffer;
        some.forEach(({ index }, at) => {
          results.get(name)?.set(made.subarray(at * rowBytes, (at + 1) * rowBytes), index * rowBytes);
        });
      }
    }
  }

  #results(run: SpanRun): ReadonlyMap<string, Uint8Array> {
    return new Map(
      run.fetches.flatMap((name): [string, Uint8Array][] => {
        const output = this.program.outputs.get(name);
        if (output === undefined) return [];
        const rows = output.picked ? run.picked.length : run.rows;
        return [[name, new Uint8Array(rows * output.buffer.rowBytes)]];
      }),
    );
  }

  #view(place: SpanPlace, { buffer }: Rows, rows: number): Uint8Array {
    const at = place.scratch() + (this.layout.offsets.get(buffer.id) ?? 0);
    return new Uint8Array(place.memory.buffer, at, rows * buffer.rowBytes);
  }

  #put(place: SpanPlace, rows: Rows, given: Uint8Array | undefined, from: number, count: number): void {
    if (given === undefined) throw new IsthmusError('internal', 'rows of a span were not checked');
    const { rowBytes } = rows.buffer;
    this.#view(place, rows, count).set(given.subarray(from * rowBytes, (from + count) * rowBytes));
  }

  #take(
    place: SpanPlace,
    rows: Rows,
    results: ReadonlyMap<string, Uint8Array>,
    name: string,
    from: number,
    count: number,
  ): void {
    results.get(name)?.set(this.#view(place, rows, count), from * rows.buffer.rowBytes);
  }
}

export function programBytes({ body, head }: Program): number {
  return (body.length + head.length) * OPERATION_BYTES;
}

/** Bytes of rows that crossed, `[1, rows, width]`. Throws `bad-tensor`. */
export function rowsOfFeed(name: string, feeds: TensorMap, { width, dtype }: Rows, rows: number): Uint8Array {
  const tensor = neededFeed(feeds, name);
  const { dims } = tensor;
  const fits = dims.length === 3 && dims[0] === 1 && dims[1] === rows && dims[2] === width;
  if (fits && tensor.dtype === dtype) return tensor.bytes;
  const got = `${tensor.dtype}[${dims.join(', ')}]`;
  throw new IsthmusError('bad-tensor', `'${name}' is ${got}, not ${dtype}[1, ${rows}, ${width}]`, {
    details: { name },
  });
}
