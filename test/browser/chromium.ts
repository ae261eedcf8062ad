/** Real Chromium for tests, and the test page built like any user's app. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Browser, chromium } from 'playwright-core';
import { build } from 'vite';

const root = new URL('../../', import.meta.url).pathname;
const run = promisify(execFile);

const FLAGS = [
  '--no-sandbox',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** A WebGPU adapter in software: right results, far slower than WASM. */
export const SOFTWARE_GPU = [
  '--enable-unsafe-webgpu',
  '--enable-features=Vulkan',
  '--use-webgpu-adapter=swiftshader',
  '--enable-unsafe-swiftshader',
];

/** Path of an installed Chromium, or `undefined` where there is none. */
export async function findChromium(): Promise<string | undefined> {
  const asked = process.env.CHROMIUM_PATH;
  if (asked !== undefined) return asked;
  for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
    const found = await run('sh', ['-c', `command -v ${name}`]).catch(() => undefined);
    if (found !== undefined) return found.stdout.trim();
  }
  return undefined;
}

export async function launchChromium(flags: readonly string[] = []): Promise<Browser> {
  const executablePath = await findChromium();
  if (executablePath === undefined) {
    throw new Error('no Chromium found: install it (Debian: apt-get install chromium) or set CHROMIUM_PATH');
  }
  return chromium.launch({ executablePath, args: [...FLAGS, ...flags] });
}

/**
 * Builds the test page against `dist` and returns its folder. `caller` names the folder: test files run
 * beside one another, and a build into one that is being served would empty it under the page's feet.
 */
export async function buildTestPage(caller: string): Promise<string> {
  const outDir = join(root, '.cache/test-pages', caller);
  await build({
    configFile: join(root, 'vite.config.ts'),
    root: join(root, 'test/browser/page'),
    publicDir: false,
    logLevel: 'warn',
    build: { outDir, emptyOutDir: true },
  });
  return outDir;
}
