/** The bench's page, built like any user's app, with the original model files beside it for the rival. */
import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'vite';

/**
 * @param {string} root of the repository
 * @param {{ encoder: string, decoder: string }} model paths of the original files
 * @returns {Promise<string>} the folder to serve
 */
export async function buildPage(root, model) {
  const outDir = join(root, '.cache/bench/page');
  await build({
    configFile: join(root, 'vite.config.ts'),
    root: join(root, 'bench/page'),
    publicDir: false,
    logLevel: 'warn',
    build: { outDir, emptyOutDir: true },
  });
  await mkdir(join(outDir, 'original'));
  await copyFile(model.encoder, join(outDir, 'original/encoder.onnx'));
  await copyFile(model.decoder, join(outDir, 'original/decoder.onnx'));
  return outDir;
}
