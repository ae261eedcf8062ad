/** The package made by the command line, and the endpoint as a process of its own, as a user has them. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { isStale } from '../../demo/start/stale.mjs';

const cliOf = (root) => join(root, 'dist/src/cli/main.js');

/**
 * Imports the model unless that was done with this very importer.
 * @returns {Promise<string>} the package's folder
 */
export async function importPackage(root, model, log) {
  const cli = cliOf(root);
  if (!existsSync(cli)) throw new Error('the library is not built yet: run "npm run build" first');
  const folder = join(root, '.cache/bench/packages', model.name);
  const sources = ['dist/src/package', 'dist/src/graph'].map((path) => join(root, path));
  if (!(await isStale(join(folder, 'manifest.json'), [model.encoder, model.decoder, ...sources]))) {
    return folder;
  }
  log(`Importing ${model.name}`);
  const { generation, audio } = model;
  const child = spawn(
    process.execPath,
    [
      ...[cli, 'import', model.encoder, model.decoder, '--name', model.name],
      ...['--tokenizer', model.tokenizer],
      ...['--bos', String(generation.bosToken), '--eos', String(generation.eosToken)],
      ...['--sample-rate', String(audio.sampleRate)],
      ...['--max-tokens-per-second', String(audio.maxTokensPerSecond)],
      ...['--out', folder],
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`the import ended with ${code}`);
  return folder;
}

/**
 * @param {string | readonly string[]} packages folders of what it serves
 * @returns {Promise<{ url: string, pid: number, stop: () => Promise<void>, kill: () => Promise<void> }>}
 */
export async function startEndpoint(root, packages, staticDir) {
  const child = spawn(
    process.execPath,
    [cliOf(root), 'serve', ...[packages].flat(), '--port', '0', '--json', '--static', staticDir],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const exited = once(child, 'exit');
  const { url } = await Promise.race([
    listening(child),
    exited.then(([code]) => {
      throw new Error(`the endpoint ended with ${code} before it listened`);
    }),
  ]);
  const end = async (signal) => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    await exited;
  };
  // `kill` ends it without a word, as a lost machine would.
  return { url, pid: child.pid, stop: () => end('SIGTERM'), kill: () => end('SIGKILL') };
}

async function listening(child) {
  let text = '';
  for await (const chunk of child.stdout) {
    text += String(chunk);
    if (text.trimEnd().endsWith('}')) return JSON.parse(text);
  }
  throw new Error('the endpoint said nothing');
}
