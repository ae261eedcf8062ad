/** The bench's page, built like any user's app, with the original model files beside it for the rival. */
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'vite';
import { place, placeOrt } from './text-page.mjs';

/** Where the page finds what transformers.js reads, relative to itself. */
export const SPEECH_FILES = {
  modelsUrl: 'original/models/',
  modelName: 'speech',
  ortMjsUrl: 'original/ort/ort-wasm-simd-threaded.asyncify.mjs',
  ortWasmUrl: 'original/ort/ort-wasm-simd-threaded.asyncify.wasm',
};

/** Of Moonshine tiny (arXiv 2410.15608, table 1), by the names under which transformers.js reads them. */
const SHAPE = {
  model_type: 'moonshine',
  architectures: ['MoonshineForConditionalGeneration'],
  is_encoder_decoder: true,
  hidden_size: 288,
  vocab_size: 32_768,
  encoder_num_hidden_layers: 6,
  decoder_num_hidden_layers: 6,
  encoder_num_attention_heads: 8,
  decoder_num_attention_heads: 8,
  encoder_num_key_value_heads: 8,
  decoder_num_key_value_heads: 8,
};

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
  await placeForTransformers(outDir, model);
  return outDir;
}

/** The same files under the names that transformers.js looks for, with as much of a configuration as it asks for. */
async function placeForTransformers(outDir, { encoder, decoder, generation }) {
  const folder = join(outDir, SPEECH_FILES.modelsUrl, SPEECH_FILES.modelName);
  await mkdir(join(folder, 'onnx'), { recursive: true });
  await place(encoder, join(folder, 'onnx/encoder_model_quantized.onnx'));
  await place(decoder, join(folder, 'onnx/decoder_model_merged_quantized.onnx'));
  const { bosToken, eosToken } = generation;
  const tokens = { bos_token_id: bosToken, decoder_start_token_id: bosToken, eos_token_id: eosToken };
  await writeFile(join(folder, 'config.json'), JSON.stringify({ ...SHAPE, ...tokens }));
  await writeFile(join(folder, 'generation_config.json'), JSON.stringify(tokens));
  await placeOrt(join(outDir, 'original/ort'));
}
