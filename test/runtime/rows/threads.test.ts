/** Threads that come late, fail or are ended: runs are right all along, and count only on those that are there. */
import { Worker } from 'node:worker_threads';
import { beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { startNodeThread } from '../../../src/runtime/rows/node/start-thread.ts';
import { openRowsRunner } from '../../../src/runtime/rows/open-rows.ts';
import type { RowsRunner } from '../../../src/runtime/rows/rows-runner.ts';
import { EPOCH_BYTE } from '../../../src/runtime/rows/run-block.ts';
import type { StartThread, ThreadStart } from '../../../src/runtime/rows/threads.ts';
import {
  chainOf,
  handCutPackage,
  nextTurn,
  openRows,
  scoresOf,
  supportOf,
  type TinyRowsPackage,
} from '../../fixtures/rows.ts';
import { prompt } from '../loop-package.ts';

let pkg: TinyRowsPackage;
let wanted: Buffer | undefined;

const tokens = prompt(60, 160);
const all = () => chainOf([0, pkg.manifest.blocks.length]);
const run = async ({ runner }: { readonly runner: RowsRunner }): Promise<void> => {
  for (const segment of all()) await runner.load(segment);
  expect(Buffer.compare(await scoresOf(runner, pkg, all(), tokens), wanted ?? Buffer.of())).toBe(0);
};

beforeAll(async () => {
  pkg = await handCutPackage();
});

/** Words of the run block: threads of the last run, and runs that helpers were woken for. */
function countsOf({ memory, block }: ThreadStart): { readonly threads: number; readonly runs: number } {
  const words = new Int32Array(memory.buffer, block, 16);
  return { threads: words[2] ?? 0, runs: words[EPOCH_BYTE / 4] ?? 0 };
}

interface Watched {
  readonly start: StartThread;
  readonly starts: ThreadStart[];
  /** Threads that have ended, in the order in which they did. */
  readonly stopped: number[];
}

/** Real threads; what `change` does to each is up to the test. */
function watched(change: (thread: number) => StartThread = () => startNodeThread): Watched {
  const starts: ThreadStart[] = [];
  const stopped: number[] = [];
  const start: StartThread = (given) => {
    starts.push(given);
    const helper = change(given.thread)(given);
    const stop = (): void => {
      stopped.push(given.thread);
      helper.stop();
    };
    return { ready: helper.ready, stop };
  };
  return { start, starts, stopped };
}

const failing: StartThread = () => ({ ready: Promise.reject(new Error('a policy')), stop: () => undefined });

describe('threads', () => {
  beforeEach(async () => {
    if (wanted !== undefined) return;
    const { runner } = await openRows(pkg);
    for (const segment of all()) await runner.load(segment);
    wanted = await scoresOf(runner, pkg, all(), tokens);
  });

  it('share runs once they are there', async () => {
    const { start, starts } = watched();
    const opened = await openRows(pkg, { threads: 3, startThread: start });
    expect(starts.map(({ thread, epoch }) => [thread, epoch])).toEqual([
      [1, 0],
      [2, 0],
    ]);
    await run(opened);
    const [first] = starts as [ThreadStart];
    const { threads, runs } = countsOf(first);
    expect(threads).toBe(3);
    expect(runs).toBeGreaterThan(0);
    expect(opened.runner.threads).toBe(3);
  });

  it('that fail to start leave runs to those before them', async () => {
    for (const [bad, left] of [
      [1, 1],
      [2, 2],
      [3, 3],
    ] as const) {
      const { start, starts, stopped } = watched((thread) => (thread === bad ? failing : startNodeThread));
      const opened = await openRows(pkg, { threads: 4, startThread: start });
      await run(opened);
      expect(countsOf(starts[0] as ThreadStart).threads).toBe(left);
      expect(stopped).toEqual([1, 2, 3].slice(left - 1));
      await opened.runner.close();
    }
  });

  it('that cannot even be asked for leave runs to one', async () => {
    const opened = await openRows(pkg, {
      threads: 2,
      startThread: () => {
        throw new DOMException('not by this policy', 'SecurityError');
      },
    });
    await run(opened);
  });

  it('that end before they are ready count as failed', async () => {
    const ending: StartThread = () => {
      const worker = new Worker('process.exit(1)', { eval: true });
      const ready = new Promise<void>((_, reject) => {
        worker.once('exit', () => reject(new Error('the thread ended')));
      });
      return { ready, stop: () => void worker.terminate() };
    };
    const { start, starts } = watched(() => ending);
    const opened = await openRows(pkg, { threads: 2, startThread: start });
    await run(opened);
    expect(countsOf(starts[0] as ThreadStart).threads).toBe(1);
  });

  it('that come late are counted from the next run on', async () => {
    let arrive: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      arrive = resolve;
    });
    let came: Promise<void> = Promise.resolve();
    const { start, starts } = watched(() => (given) => {
      const { ready, stop } = startNodeThread(given);
      came = ready.then(() => held);
      return { ready: came, stop };
    });
    const options = { threads: 2, startThread: start };
    const runner = await openRowsRunner(pkg.manifest, pkg.source, await supportOf(pkg), options);
    onTestFinished(() => runner.close());
    await run({ runner });
    expect(countsOf(starts[0] as ThreadStart)).toEqual({ threads: 1, runs: 0 });
    arrive();
    await came;
    await nextTurn();
    expect(countsOf(starts[0] as ThreadStart)).toEqual({ threads: 1, runs: 0 });
    await run({ runner });
    const { threads, runs } = countsOf(starts[0] as ThreadStart);
    expect(threads).toBe(2);
    expect(runs).toBeGreaterThan(0);
  });

  it('are asked for only where there is a way to start them', async () => {
    const runner = await openRowsRunner(pkg.manifest, pkg.source, await supportOf(pkg), { threads: 4 });
    onTestFinished(() => runner.close());
    await run({ runner });
    expect(runner.threads).toBe(1);
  });

  it('end with their runner', async () => {
    const ended: Promise<number>[] = [];
    const note = (worker: Worker): void => {
      ended.push(new Promise((resolve) => worker.once('exit', resolve)));
    };
    process.on('worker', note);
    onTestFinished(() => void process.off('worker', note));
    const opened = await openRows(pkg, { threads: 3, startThread: startNodeThread });
    await run(opened);
    expect(ended).toHaveLength(2);
    await opened.runner.close();
    // Never settles where a helper goes on.
    await Promise.all(ended);
  });

  it('are told to end once, whether they came or not', async () => {
    const { start, stopped } = watched();
    const { runner } = await openRows(pkg, { threads: 3, startThread: start });
    await runner.close();
    await runner.close();
    expect(stopped).toEqual([1, 2]);
  });
});
