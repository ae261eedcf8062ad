/** Builds the page of the suites `link` and `memory`. */
import { join } from 'node:path';
import { build } from 'vite';

/** @returns {Promise<string>} its folder */
export async function buildLinkPage(root) {
  const outDir = join(root, '.cache/bench/link-page');
  await build({
    configFile: join(root, 'vite.config.ts'),
    root: join(root, 'bench/page/link'),
    publicDir: false,
    logLevel: 'warn',
    build: { outDir, emptyOutDir: true },
  });
  return outDir;
}
