/** That shared state stays where it is, and that nothing is kept longer than it is needed. */
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-common';
import { Tensor } from 'onnxruntime-common';
import { describe, expect, it } from 'vitest';
import type { StateEntry } from '../../src/package/manifest.ts';
import { OrtState } from '../../src/runtime/state-ort.ts';
import { MIN_CAPACITY_ROWS } from '../../src/runtime/state-rows.ts';
import { ROWS_FROM, ROWS_TO, rowsOutput } from '../../src/runtime/yield-rows.ts';

const SHARED: StateEntry = {
  input: 'past',
  output: 'present',
  origin: 'step',
  dtype: 'float32',
  dims: [1, 2, null, 1],
  block: 0,
  growth: 'shared',
  axis: 2,
};
const GROWING: StateEntry = { ...SHARED, growth: 'append' };
const REPLACED: StateEntry = { ...SHARED, dims: [1, 2, 3, 1], growth: 'replace' };

/** A session that adds rows numbered by their position, and hands on the others or only the new ones. */
function fake(reads: OrtTensor[]): { session: InferenceSession; place: { position: number; rows: number } } {
  const place = { position: 0, rows: 1 };
  const run = async (feeds: Record<string, OrtTensor>, fetches: Record<string, OrtTensor | null>) => {
    const { past } = feeds;
    if (past === undefined) throw new Error('there is always state to read');
    reads.push(past);
    const [output = ''] = Object.keys(fetches);
    const isNewOnly = output === rowsOutput(SHARED);
    const total = place.position + place.rows;
    const first = isNewOnly ? place.position : 0;
    if (isNewOnly) {
      const bounds = [feeds[ROWS_FROM], feeds[ROWS_TO]].map((bound) => [
        ...((bound?.data ?? []) as BigInt64Array),
      ]);
      expect(bounds).toEqual([[BigInt(place.position)], [BigInt(total)]]);
    }
    const from = past.data as Float32Array;
    const made = new Float32Array(2 * (total - first));
    for (const head of [0, 1]) {
      for (let row = first; row < total; row += 1) {
        const kept = from[head * (past.dims[2] ?? 0) + row] ?? NaN;
        made[head * (total - first) + row - first] = row < place.position ? kept : 100 * head + row;
      }
    }
    return { [output]: new Tensor('float32', made, [1, 2, total - first, 1]) };
  };
  return { session: { run } as unknown as InferenceSession, place };
}

function tools(entry: StateEntry, contextLength?: number) {
  const calls: OrtTensor[] = [];
  const { session, place } = fake(calls);
  const state = new OrtState({ Tensor, ...(contextLength === undefined ? {} : { contextLength }) });
  const run = async (position: number, rows: number): Promise<void> => {
    Object.assign(place, { position, rows });
    await state.run({
      session,
      feeds: {},
      fetches: [],
      reads: [entry],
      writes: [entry],
      at: { position, rows },
    });
  };
  const rows = async (from: number, to: number): Promise<number[]> => [
    ...new Float32Array((await state.read(entry, from, to)).bytes.slice().buffer),
  ];
  return { state, calls, session, run, rows };
}

describe('shared state', () => {
  it('is one buffer that new rows are put into, until it must grow', async () => {
    const { calls, run, rows } = tools(SHARED);
    await run(0, 5);
    await run(5, 1);
    await run(2, 3);
    const [buffer] = calls;
    expect(buffer?.dims).toEqual([1, 2, MIN_CAPACITY_ROWS, 1]);
    for (const past of calls) expect(past).toBe(buffer);
    expect(await rows(0, 5)).toEqual([0, 1, 2, 3, 4, 100, 101, 102, 103, 104]);
    await expect(rows(0, 6)).rejects.toMatchObject({ code: 'bad-option' });
    await run(5, MIN_CAPACITY_ROWS);
    expect(calls[3]?.dims).toEqual([1, 2, 2 * MIN_CAPACITY_ROWS, 1]);
    expect(await rows(3, 7)).toEqual([3, 4, 5, 6, 103, 104, 105, 106]);
    expect(() => buffer?.data).toThrow();
  });

  it('takes no more than the context', async () => {
    const { calls, run } = tools(SHARED, 40);
    await run(0, 40);
    expect(calls[0]?.dims).toEqual([1, 2, 41, 1]);
  });

  it('is as it was when a run fails', async () => {
    const { state, session, run, rows } = tools(SHARED);
    await run(0, 4);
    const failing = { run: async () => Promise.reject(new Error('torn')) } as unknown as InferenceSession;
    const request = { feeds: {}, fetches: [], reads: [SHARED], writes: [SHARED] };
    await expect(state.run({ ...request, session: failing, at: { position: 3, rows: 500 } })).rejects.toThrow(
      'torn',
    );
    expect(await rows(0, 3)).toEqual([0, 1, 2, 100, 101, 102]);
    await run(3, 2);
    expect(await rows(0, 5)).toEqual([0, 1, 2, 3, 4, 100, 101, 102, 103, 104]);
    await expect(state.run({ ...request, session })).rejects.toMatchObject({ code: 'bad-option' });
  });

  it('takes rows from elsewhere, and keeps none when it is closed', async () => {
    const one = tools(SHARED);
    await one.run(0, 6);
    const other = tools(SHARED);
    await other.state.write(SHARED, 0, await one.state.read(SHARED, 0, 4));
    await other.state.write(SHARED, 2, await one.state.read(SHARED, 2, 6));
    expect(await other.rows(0, 6)).toEqual(await one.rows(0, 6));
    await expect(other.state.write(SHARED, 7, await one.state.read(SHARED, 0, 1))).rejects.toMatchObject({
      code: 'bad-option',
    });
    await other.run(6, 1);
    const held = other.calls[0];
    other.state.close();
    expect(() => held?.data).toThrow();
    await expect(other.rows(0, 1)).rejects.toMatchObject({ code: 'bad-option' });
  });
});

describe('state that grows', () => {
  it('is cut back before a run from an earlier position', async () => {
    const { calls, run, rows } = tools(GROWING);
    await run(0, 5);
    await run(2, 2);
    expect(calls.map((past) => past.dims[2])).toEqual([0, 2]);
    expect(await rows(0, 4)).toEqual([0, 1, 2, 3, 100, 101, 102, 103]);
    await expect(run(5, 1)).rejects.toMatchObject({ code: 'bad-option', details: { held: 4, position: 5 } });
  });

  it.each([GROWING, SHARED])('is refused when the graph made other rows than were due', async (entry) => {
    const { state } = tools(entry);
    const made = new Tensor('float32', new Float32Array(2), [1, 2, 1, 1]);
    const run = async () => ({ present: made, [rowsOutput(entry)]: made });
    const session = { run } as unknown as InferenceSession;
    const request = { session, feeds: {}, fetches: [], reads: [entry], writes: [entry] };
    await expect(state.run({ ...request, at: { position: 0, rows: 4 } })).rejects.toMatchObject({
      code: 'run-failed',
    });
  });
});

describe('state that is replaced', () => {
  it('stands at one position, and starts over at 0', async () => {
    const made = [1, 2, 3].map(
      (value) => new Tensor('float32', new Float32Array(6).fill(value), [1, 2, 3, 1]),
    );
    const fed: number[] = [];
    const session = {
      run: async (feeds: Record<string, OrtTensor>) => {
        const { past } = feeds;
        fed.push(past === undefined ? NaN : ((past.data as Float32Array)[0] ?? NaN));
        return { present: made[fed.length - 1] };
      },
    } as unknown as InferenceSession;
    const state = new OrtState({ Tensor });
    const run = (position: number) =>
      state.run({
        session,
        feeds: {},
        fetches: [],
        reads: [REPLACED],
        writes: [REPLACED],
        at: { position, rows: 4 },
      });
    await run(0);
    await run(4);
    await expect(run(4)).rejects.toThrow('cannot be rewound');
    await expect(run(9)).rejects.toMatchObject({ code: 'bad-option' });
    await run(0);
    expect(fed).toEqual([0, 1, 0]);
    await expect(state.read(REPLACED, 0, 1)).rejects.toMatchObject({ code: 'unsupported-model' });
  });
});
