/** What the bench makes devices and links of, on the real thing: processes, control groups and sockets. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

const load = (path: string) => import(new URL(`../../bench/${path}`, import.meta.url).href);

const { startProcessorClock, treeOf } = await load('setup/processor-time.mjs');
const { holdTree } = await load('setup/cpu-quota.mjs');
const { startRelay } = await load('setup/relay.mjs');
const { scriptTasks } = await load('grid/main-thread.mjs');

/** A process that starts another, which works until it is told to end. */
const TREE = `
  const { spawn } = require('node:child_process');
  const child = spawn(process.execPath, ['-e', 'for (;;);']);
  process.stdin.on('end', () => { child.kill('SIGKILL'); process.exit(); }).resume();
  console.log(child.pid);
`;

async function startTree() {
  const root = spawn(process.execPath, ['-e', TREE], { stdio: ['pipe', 'pipe', 'inherit'] });
  const [line] = await once(root.stdout, 'data');
  const end = async (): Promise<void> => {
    root.stdin.end();
    await once(root, 'exit');
  };
  return { root: root.pid ?? 0, child: Number(String(line)), end };
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 10));
}

describe.skipIf(!existsSync('/proc/self/stat'))('processor time', () => {
  it('counts what descends from a process', async () => {
    const { root, child, end } = await startTree();
    try {
      expect(treeOf(root)).toEqual([root, child]);
      const spent = startProcessorClock(root);
      await until(() => spent() >= 50);
    } finally {
      await end();
    }
  });

  it('is read without garbage: what collects it would run beside the requests that are timed', () => {
    treeOf(process.pid);
    const before = process.memoryUsage().arrayBuffers;
    for (let times = 0; times < 10; times += 1) startProcessorClock(process.pid)();
    // A file of unknown size takes 64 KiB each, of all processes there are.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 1024);
  });

  it('is not known of what is not there', () => {
    expect(startProcessorClock(2 ** 30)()).toBeUndefined();
  });
});

describe('a share of a core', () => {
  it('is held by a group of our own that goes with it, or is refused with a reason', async () => {
    const { root, end } = await startTree();
    try {
      const quota = holdTree(root);
      if (quota.reason !== undefined) {
        expect(quota.reason).toMatch(/control group/);
        return;
      }
      quota.set(0.2);
      quota.set(undefined);
      quota.release();
      // A second one finds nothing in its way.
      const again = holdTree(root);
      expect(again.reason).toBeUndefined();
      again.release();
    } finally {
      await end();
    }
  });
});

describe('a relay that is severed', () => {
  let server: Server;
  let port: number;
  beforeAll(async () => {
    server = createServer((_, response) => response.end('here')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
  });
  afterAll(() => server.close());

  it('breaks what stands, refuses what comes, and carries again', async () => {
    const rate = { rttMs: 0, upBitsPerSecond: 1e9, downBitsPerSecond: 1e9 };
    const relay = await startRelay({ target: port, ...rate });
    const ask = async () => (await fetch(`http://127.0.0.1:${relay.port}/`)).text();
    try {
      expect(await ask()).toBe('here');
      relay.sever(true);
      await expect(ask()).rejects.toThrow();
      relay.sever(false);
      expect(await ask()).toBe('here');
    } finally {
      await relay.close();
    }
  });
});

describe('a relay that is shared', () => {
  const BULK = 2 ** 20;
  const WORD = 'a token of some bytes';
  const rate = { rttMs: 40, upBitsPerSecond: 20e6, downBitsPerSecond: 20e6 };

  it('has few words wait behind a window of the bulk, not behind all that it has read of it', async () => {
    let words: ServerResponse | undefined;
    const server = createServer((request, response) => {
      if (request.url === '/bulk') response.end(Buffer.alloc(BULK));
      else words = response;
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const relay = await startRelay({ target: (server.address() as AddressInfo).port, ...rate });
    const url = `http://127.0.0.1:${relay.port}`;
    try {
      const streamed = fetch(`${url}/words`);
      await vi.waitFor(() => expect(words).toBeDefined());
      words?.write(WORD);
      const reader = (await streamed).body?.getReader();
      await reader?.read();
      const bulk = await fetch(`${url}/bulk`);
      const ended = bulk.arrayBuffer().then(() => 'the bulk');
      // A window is 100 kB; behind it come 900 kB more, which the word does not wait for.
      words?.write(WORD);
      const said = reader?.read().then(() => 'the word');
      expect(await Promise.race([ended, said])).toBe('the word');
      expect(relay.bytes().down).toBeLessThan(BULK / 2);
      await ended;
      expect(relay.bytes().down).toBeGreaterThan(BULK);
    } finally {
      words?.end();
      await relay.close();
      server.close();
    }
  });
});

describe('a trace', () => {
  const event = (name: string, ts: number, dur: number, other: object = {}) => ({
    ph: 'X',
    pid: 7,
    tid: 1,
    name,
    ts,
    dur,
    ...other,
  });
  const thread = { ph: 'M', pid: 7, tid: 1, name: 'thread_name', args: { name: 'CrRendererMain' } };

  it('gives tasks with script in them, longest first, nested ones once', () => {
    const traceEvents = [
      thread,
      event('ThreadControllerImpl::RunTask', 0, 30_000),
      event('RunTask', 10, 29_000),
      event('FunctionCall', 20, 20_000, { args: { data: { functionName: 'go', url: 'http://x/a.js' } } }),
      event('RunTask', 50_000, 90_000),
      event('Paint', 50_010, 80_000),
      event('RunTask', 200_000, 40_000, { tdur: 5000 }),
      event('RunMicrotasks', 200_000, 39_000),
      event('RunTask', 300_000, 400),
      event('FunctionCall', 300_000, 300),
      event('RunTask', 0, 900_000, { tid: 2 }),
      event('FunctionCall', 0, 900_000, { tid: 2 }),
    ];
    const tasks = scriptTasks({ traceEvents }, 7);
    expect(tasks.map(({ ms, cpuMs }: { ms: number; cpuMs: number }) => [ms, cpuMs])).toEqual([
      [40, 5],
      [30, 30],
    ]);
    expect(tasks[1].parts).toEqual(['FunctionCall 20.0 ms (go:a.js)']);
  });

  it('of another process is no answer', () => {
    expect(() => scriptTasks({ traceEvents: [thread] }, 8)).toThrow('no main thread');
  });
});
