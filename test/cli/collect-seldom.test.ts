/** How often the process that serves is collected, with a real model: what it leaves behind is tensors. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { StreamClient } from '../endpoint/stream-client.ts';
import { inputOf, openReal, recording } from '../fixtures/real-speech.ts';

const main = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));
const WARMING = 4;
const REQUESTS = 16;

/** Every thread has a heap: each says so, at once, when all of its own was collected. */
const TELL = `
  import { writeSync } from 'node:fs';
  import { constants, PerformanceObserver } from 'node:perf_hooks';
  new PerformanceObserver((list) => {
    for (const { detail } of list.getEntries()) {
      if (detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR) writeSync(2, 'collected;');
    }
  }).observe({ entryTypes: ['gc'] });
`;

const real = existsSync(main) ? await openReal() : 'the command line is not built';

describe.skipIf(typeof real === 'string')('a process that serves', () => {
  it('is collected less than V8 would with every request', async () => {
    if (typeof real === 'string' || recording === undefined) return;
    const { manifest, dir } = real;
    const preload = `data:text/javascript,${encodeURIComponent(TELL)}`;
    const args = ['--import', preload, main, 'serve', dir, '--port', '0', '--json'];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let told = '';
    child.stderr.on('data', (chunk) => {
      told += String(chunk);
    });
    const collections = (): number => told.split('collected;').length - 1;
    try {
      const [listening] = await once(child.stdout, 'data');
      const { url } = JSON.parse(String(listening)) as { url: string };
      const client = await StreamClient.connect(url);
      const tensors = { once: inputOf(manifest, recording.samples()) };
      const span = { from: 0, to: manifest.blocks.length };
      const ask = async (id: number): Promise<number> => {
        client.start({ id, model: manifest.name, span, tensors, maxTokens: 100 });
        return (await client.tokens()).tokens.length;
      };
      // What the start left is collected behind the first ones.
      for (let id = 0; id < WARMING; id += 1) expect(await ask(id)).toBeGreaterThan(5);
      const before = collections();
      for (let id = 0; id < REQUESTS; id += 1) await ask(WARMING + id);
      // Of 7 s of speech: 0.8 to 1, and 2.1 to 2.6 with V8's own growth.
      expect((collections() - before) / REQUESTS).toBeLessThan(1.5);
    } finally {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  });
});
