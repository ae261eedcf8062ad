/** The text bench's page, built like any user's app, with what the rivals read beside it. */
import { cp, link, mkdir, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { build } from 'vite';

const fromHere = createRequire(import.meta.url);

/** Where the page finds things, relative to itself. */
export const TEXT_FILES = {
  ggufUrl: 'rivals/model.gguf',
  modelsUrl: 'rivals/models/',
  wllamaWasmUrl: 'rivals/wllama.wasm',
  ortMjsUrl: 'rivals/ort/ort-wasm-simd-threaded.asyncify.mjs',
  ortWasmUrl: 'rivals/ort/ort-wasm-simd-threaded.asyncify.wasm',
};

/**
 * onnxruntime-web's build that transformers.js asks for in Chromium by itself, and the one without
 * support for WebGPU, which suspends nothing and so is faster.
 */
const ORT_BUILDS = ['.asyncify', ''];

/**
 * @param {string} root of the repository
 * @param {{ gguf: string, q8: string, name: string }} model paths of the GGUF and the q8 export's folder
 * @returns {Promise<string>} the folder to serve
 */
export async function buildTextPage(root, model) {
  const outDir = join(root, '.cache/bench/text/page');
  await build({
    configFile: join(root, 'vite.config.ts'),
    root: join(root, 'bench/page'),
    publicDir: false,
    logLevel: 'warn',
    build: { outDir, emptyOutDir: true, rollupOptions: { input: join(root, 'bench/page/text.html') } },
  });
  const rivals = join(outDir, 'rivals');
  await mkdir(join(rivals, 'models', model.name, 'onnx'), { recursive: true });
  await place(model.gguf, join(rivals, 'model.gguf'));
  for (const file of ['config.json', 'generation_config.json', 'onnx/model_quantized.onnx']) {
    await place(join(model.q8, file), join(rivals, 'models', model.name, file));
  }
  const wllama = dirname(fromHere.resolve('@wllama/wllama/package.json'));
  await place(join(wllama, 'esm/wasm/wllama.wasm'), join(rivals, 'wllama.wasm'));
  await placeOrt(join(rivals, 'ort'));
  return outDir;
}

/** The runtime that transformers.js asks for: its own version, not ours. */
export async function placeOrt(folder) {
  await mkdir(folder, { recursive: true });
  const transformers = createRequire(fromHere.resolve('@huggingface/transformers'));
  const ort = dirname(transformers.resolve('onnxruntime-web'));
  for (const kind of ORT_BUILDS) {
    for (const end of ['mjs', 'wasm']) {
      const file = `ort-wasm-simd-threaded${kind}.${end}`;
      await place(join(ort, file), join(folder, file));
    }
  }
}

/** A hard link where the file system has them: these files are large. */
export async function place(from, to) {
  await rm(to, { force: true });
  await link(from, to).catch(() => cp(from, to));
}
