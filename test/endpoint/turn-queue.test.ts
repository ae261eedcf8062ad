import { expect, it } from 'vitest';
import { TurnQueue } from '../../src/endpoint/turn-queue.ts';

function gate() {
  let open = (): void => undefined;
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, passed };
}

it('runs one piece of work at a time, in order of arrival, also after a failure', async () => {
  const queue = new TurnQueue();
  const log: string[] = [];
  let running = 0;
  const work = (name: string) => async () => {
    running += 1;
    expect(running).toBe(1);
    await Promise.resolve();
    log.push(name);
    running -= 1;
    if (name === 'b') throw new Error('b failed');
    return name;
  };
  const results = await Promise.allSettled(['a', 'b', 'c', 'd'].map((name) => queue.run(work(name))));
  expect(log).toEqual(['a', 'b', 'c', 'd']);
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled']);
  expect(queue.length).toBe(0);
});

it('lets who no longer waits leave at once, without losing the turn of others', async () => {
  const queue = new TurnQueue();
  const { open, passed } = gate();
  const first = queue.run(() => passed);
  const abort = new AbortController();
  const log: string[] = [];
  const second = queue.run(async () => log.push('second'), abort.signal);
  const third = queue.run(async () => log.push('third'));
  expect(queue.length).toBe(2);
  abort.abort();
  await expect(second).rejects.toMatchObject({ code: 'aborted' });
  expect(queue.length).toBe(1);
  open();
  await Promise.all([first, third]);
  expect(log).toEqual(['third']);
});

it('hands on a turn that came together with the abort', async () => {
  const queue = new TurnQueue();
  const abort = new AbortController();
  const { open, passed } = gate();
  const first = queue.run(() => passed).then(() => undefined);
  const second = queue.run(async () => 'second', abort.signal);
  const third = queue.run(async () => 'third');
  open();
  // After the first has ended the turn is the second's, whose work has not begun.
  await first;
  abort.abort();
  await Promise.allSettled([second]);
  expect(await third).toBe('third');
});
