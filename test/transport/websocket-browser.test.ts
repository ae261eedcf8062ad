/** The browser's own WebSocket under the connection, against a server in Node. */
import { execFileSync } from 'node:child_process';
import { type Browser, chromium, type Page } from 'playwright-core';
import { createServer, type ViteDevServer } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { connectWebSocket } from '../../src/transport/websocket.ts';
import { type SocketLoopback, socketLoopback } from './loopback.ts';

function chromiumPath(): string | undefined {
  try {
    return execFileSync('/bin/sh', ['-c', 'command -v chromium']).toString().trim();
  } catch {
    return undefined;
  }
}

const executablePath = chromiumPath();

/** Put there by a script of the page: the test's own bundler would rewrite an `import()` in `evaluate`. */
type PageGlobal = typeof globalThis & { connectWebSocket: typeof connectWebSocket };
const SCRIPT = `import { connectWebSocket } from '/src/transport/websocket.ts';
globalThis.connectWebSocket = connectWebSocket;`;

describe.skipIf(executablePath === undefined)('in Chromium', () => {
  let vite: ViteDevServer;
  let browser: Browser;
  let page: Page;
  let loopback: SocketLoopback;

  beforeAll(async () => {
    vite = await createServer({
      configFile: false,
      logLevel: 'silent',
      optimizeDeps: { noDiscovery: true },
      server: { host: '127.0.0.1', port: 0, hmr: false, watch: null },
    });
    await vite.listen();
    loopback = await socketLoopback();
    browser = await chromium.launch({
      ...(executablePath === undefined ? {} : { executablePath }),
      args: [
        '--no-sandbox',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
    });
    page = await browser.newPage();
    const [url] = vite.resolvedUrls?.local ?? [];
    // Any page of the origin will do: modules are imported from it.
    await page.goto(`${url}package.json`);
    await page.addScriptTag({ type: 'module', content: SCRIPT });
    await page.waitForFunction(() => 'connectWebSocket' in globalThis);
  });

  afterAll(async () => {
    await browser?.close();
    await loopback?.close();
    await vite?.close();
  });

  test('frames go both ways, also from shared memory, and a clean close is clean', async () => {
    const accepted = loopback.accept().then((socket) => {
      socket.on('message', (data) => socket.send(data));
      return socket;
    });
    const result = await page.evaluate(async (url) => {
      const { connectWebSocket } = globalThis as PageGlobal;
      const connection = await connectWebSocket(url, { WebSocket })();
      const frames: number[][] = [];
      const arrived = new Promise<void>((resolve) => {
        connection.onFrame((frame: Uint8Array) => {
          frames.push([...frame]);
          if (frames.length === 2) resolve();
        });
      });
      connection.send(new Uint8Array([1, 2, 3, 4]).subarray(1, 3));
      const shared = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
      connection.send(new Uint8Array(shared.buffer, 0, 2).fill(7));
      await arrived;
      const end = new Promise<unknown>((resolve) => connection.onClose(resolve));
      connection.close();
      return { frames, end: await end };
    }, loopback.url);
    expect(result).toEqual({
      frames: [
        [2, 3],
        [7, 7],
      ],
      end: undefined,
    });
    await accepted;
  });

  test.each([
    ['a text', 'text'],
    ['a close with a code of failure', 'close'],
    ['a broken link', 'terminate'],
  ])('%s is endpoint-lost', async (_, how) => {
    const accepted = loopback.accept().then((socket) => {
      if (how === 'text') socket.send('hello');
      else if (how === 'close') socket.close(1011);
      else socket.terminate();
    });
    const code = page.evaluate(async (url) => {
      const { connectWebSocket } = globalThis as PageGlobal;
      const connection = await connectWebSocket(url, { WebSocket })();
      const error = await new Promise<unknown>((resolve) => connection.onClose(resolve));
      return (error as { code?: unknown } | undefined)?.code;
    }, loopback.url);
    expect(await code).toBe('endpoint-lost');
    await accepted;
  });

  test('nobody there is endpoint-lost', async () => {
    const gone = await socketLoopback();
    await gone.close();
    const code = await page.evaluate(async (url) => {
      const { connectWebSocket } = globalThis as PageGlobal;
      return connectWebSocket(url, { WebSocket })().catch((error: { code?: unknown }) => error.code);
    }, gone.url);
    expect(code).toBe('endpoint-lost');
  });
});
