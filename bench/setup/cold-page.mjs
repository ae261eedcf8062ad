/** The page of visits, built as a user's app would be. */
import { join } from 'node:path';
import { build } from 'vite';

/** @returns {Promise<string>} its folder */
export async function buildColdPage(root) {
  const outDir = join(root, '.cache/bench/cold-page');
  await build({
    configFile: join(root, 'vite.config.ts'),
    root: join(root, 'bench/page/cold'),
    publicDir: false,
    logLevel: 'warn',
    build: { outDir, emptyOutDir: true },
  });
  return outDir;
}
