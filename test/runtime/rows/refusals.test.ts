/** What a run cannot do is refused with a code that says whose fault it is, and leaves everything as it was. */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Segment } from '../../../src/core/span.ts';
import { int64Tensor, type TensorMap } from '../../../src/core/tensor.ts';
import { isIsthmusError } from '../../../src/errors.ts';
import type { RowsRunner } from '../../../src/runtime/rows/rows-runner.ts';
import type { RunRequest, StateId } from '../../../src/runtime/runner.ts';
import { stepFeeds, tokenFeed } from '../../../src/runtime/step-feeds.ts';
import { expectSame } from '../../contracts/lane.ts';
import {
  chainOf,
  handCutPackage,
  loadChain,
  openRows,
  runChain,
  stageOf,
  type TinyRowsPackage,
} from '../../fixtures/rows.ts';

const CONTEXT = 64;

let pkg: TinyRowsPackage;
let all: Segment;
let runner: RowsRunner;
let state: StateId;

beforeAll(async () => {
  pkg = await handCutPackage('llama', { contextLength: CONTEXT, layers: 2 });
  all = { stage: 0, from: 0, to: pkg.manifest.blocks.length };
});

beforeEach(async () => {
  ({ runner } = await openRows(pkg));
  await loadChain(runner, [all, ...chainOf([0, 2, all.to])]);
  state = await runner.openState();
  await step(0, [1, 2, 3, 4]);
});

const step = (position: number, tokens: readonly number[], on = state): Promise<TensorMap> =>
  runChain(runner, pkg, { chain: [all], state: on, position, tokens });

function request(options: Partial<RunRequest> = {}, tokens: readonly number[] = [5]): RunRequest {
  const rows = tokens.length;
  const feeds = {
    ...stepFeeds(stageOf(pkg), { position: 4, rows, picked: 1 }),
    ...tokenFeed(stageOf(pkg), tokens),
  };
  const fetches = ['logits'];
  return { segment: all, phase: 'step', feeds, fetches, state, at: { position: 4, rows }, ...options };
}

/** Why it was refused; shorter in a report than all that came instead. */
function codeOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => 'done',
    (error: unknown) => (isIsthmusError(error) ? error.code : String(error)),
  );
}

async function refused(
  options: Partial<RunRequest>,
  code: string,
  tokens?: readonly number[],
): Promise<void> {
  const before = await runner.readState(state, all, 0, 4);
  expect(await codeOf(runner.run(request(options, tokens)))).toBe(code);
  expectSame(await runner.readState(state, all, 0, 4), before);
  await expect(runner.readState(state, all, 0, 5)).rejects.toMatchObject({ code: 'bad-option' });
}

describe('a run', () => {
  it.each([[[-1]], [[160]], [[3, 2 ** 31, 4]], [[2 ** 40]]])('does not take the tokens %j', (tokens) =>
    refused({}, 'bad-tensor', tokens),
  );

  it.each([[[-1]], [[1]], [[0, 128]]])('does not pick the rows %j of one', (rows) => {
    const { feeds } = request();
    return refused({ feeds: { ...feeds, picked_rows: int64Tensor(rows, [rows.length]) } }, 'bad-tensor');
  });

  it('takes as many tokens as it is told', async () => {
    await refused({ at: { position: 4, rows: 2 } }, 'bad-tensor');
    await refused({ at: { position: 4, rows: 0 } }, 'bad-tensor');
    await refused({ at: { position: 4, rows: Number.NaN } }, 'bad-tensor');
  });

  it('does not go beyond the context', async () => {
    const long = Array.from({ length: CONTEXT - 3 }, () => 1);
    await refused({}, 'input-too-long', long);
    await step(4, long.slice(1));
    await expect(step(CONTEXT, [1])).rejects.toMatchObject({ code: 'input-too-long' });
  });

  it.each([5, 40, -1, 0.5, Number.NaN])('does not stand at %d behind 4 rows', (position) =>
    refused({ at: { position, rows: 1 } }, 'bad-option'),
  );

  it('needs to know where its rows stand', () => {
    const { at, ...bare } = request();
    return expect(runner.run(bare)).rejects.toMatchObject({ code: 'bad-option' });
  });

  it('needs a state that there is', async () => {
    await expect(runner.run(request({ state: 99 }))).rejects.toMatchObject({ code: 'unknown-session' });
    const { state: _, ...stateless } = request();
    await expect(runner.run(stateless)).rejects.toMatchObject({ code: 'unknown-session' });
    await runner.closeState(state);
    await runner.closeState(state);
    await expect(runner.run(request())).rejects.toMatchObject({ code: 'unknown-session' });
  });

  it('needs a segment that is loaded, and the phase that it has', async () => {
    await refused({ segment: { stage: 0, from: 0, to: 3 } }, 'run-failed');
    await refused({ phase: 'once' }, 'run-failed');
    await runner.unload(all);
    await refused({}, 'run-failed');
  });

  it('needs all its inputs, and yields no more than its outputs', async () => {
    const { feeds } = request();
    for (const name of ['input_ids', 'picked_rows']) {
      const { [name]: _, ...rest } = feeds;
      await refused({ feeds: rest }, 'bad-tensor');
    }
    await refused({ fetches: ['logits', 'present.0.key'] }, 'bad-tensor');
    const far = { stage: 0, from: 2, to: all.to };
    await refused({ segment: far }, 'bad-tensor');
  });

  it('hands on what it was given', async () => {
    const { feeds } = request();
    const { outputs } = await runner.run(request({ feeds, fetches: ['input_ids', 'logits'] }));
    expect(outputs.input_ids).toBe(feeds.input_ids);
    expect(outputs.logits?.dims).toEqual([1, 1, 160]);
  });

  it('of a span does not take rows of another shape', async () => {
    const [near, far] = chainOf([0, 2, all.to]) as [Segment, Segment];
    const other = await runner.openState();
    const tokens = [5, 6];
    const made = await runChain(runner, pkg, { chain: [near], state: other, position: 0, tokens });
    const name = Object.keys(made)[0] ?? '';
    const feeds = { ...stepFeeds(stageOf(pkg), { position: 0, rows: 3, picked: 1 }), ...made };
    const run = { segment: far, phase: 'step' as const, feeds, fetches: ['logits'], state: other };
    await expect(runner.run({ ...run, at: { position: 0, rows: 3 } })).rejects.toMatchObject({
      code: 'bad-tensor',
      details: { name },
    });
  });
});

describe('state', () => {
  it.each([
    [-1, 2],
    [0, 5],
    [3, 2],
    [0.5, 2],
  ])('is not read from %d to %d', async (from, to) => {
    expect(await codeOf(runner.readState(state, all, from, to))).toBe('bad-option');
  });

  it.each([-1, 5, 0.5])('is not written at %d behind 4 rows', async (from) => {
    const rows = await runner.readState(state, all, 0, 2);
    expect(await codeOf(runner.writeState(state, all, from, rows))).toBe('bad-option');
    expectSame(await runner.readState(state, all, 0, 2), rows);
  });

  it('is not written beyond the context: tables of other layers lie there', async () => {
    await step(
      4,
      Array.from({ length: CONTEXT - 4 }, () => 7),
    );
    const whole = await runner.readState(state, all, 0, CONTEXT);
    expect(await codeOf(runner.writeState(state, all, 1, whole))).toBe('input-too-long');
    expectSame(await runner.readState(state, all, 0, CONTEXT), whole);
  });

  it('is written in rows of its own shape, for all its layers', async () => {
    const rows = await runner.readState(state, all, 0, 2);
    const { 'past_key_values.1.value': last, ...rest } = rows;
    expect(await codeOf(runner.writeState(state, all, 0, rest))).toBe('bad-tensor');
    expectSame(await runner.readState(state, all, 0, 2), rows);
    const torn = { ...rest, 'past_key_values.1.value': { ...last, dims: [1, 1, 2, 32] } } as TensorMap;
    expect(await codeOf(runner.writeState(state, all, 0, torn))).toBe('bad-tensor');
  });

  it('is not known before it is opened nor after it is closed', async () => {
    await runner.closeState(state);
    for (const id of [state, 99]) {
      await expect(runner.readState(id, all, 0, 1)).rejects.toMatchObject({ code: 'unknown-session' });
      await expect(runner.writeState(id, all, 0, {})).rejects.toMatchObject({ code: 'unknown-session' });
    }
    await runner.closeState(99);
  });
});

describe('a closed runner', () => {
  it('does nothing more', async () => {
    await runner.close();
    await runner.close();
    const closed = { code: 'closed' };
    await expect(runner.run(request())).rejects.toMatchObject(closed);
    await expect(runner.load(all)).rejects.toMatchObject(closed);
    await expect(runner.openState()).rejects.toMatchObject(closed);
    await expect(runner.readState(state, all, 0, 1)).rejects.toMatchObject(closed);
    await expect(runner.writeState(state, all, 0, {})).rejects.toMatchObject(closed);
    await runner.unload(all);
    await runner.closeState(state);
    expect(runner.loaded()).toEqual([]);
  });

  it('lets no run go on that was asked for before', async () => {
    const running = runner.run(request());
    const closing = runner.close();
    await expect(running).rejects.toMatchObject({ code: 'closed' });
    await closing;
  });
});

it('runs or refuses a segment that is unloaded at the same time, and says then that it is not loaded', async () => {
  const running = runner.run(request()).then(
    ({ outputs }) => outputs.logits?.dims,
    (error: { code: string }) => error.code,
  );
  await runner.unload(all);
  expect([[1, 1, 160], 'run-failed']).toContainEqual(await running);
});
