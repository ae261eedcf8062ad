/** `isthmus serve`: the endpoint for one or more packages. */
import { readFile, stat } from 'node:fs/promises';
import { IsthmusError } from '../errors.ts';
import { createEndpoint } from '../node/create-endpoint.ts';
import { openPackage } from '../package/node/open-package.ts';
import type { Command, Io } from './command.ts';
import { optionalNumber, parseFlags, UsageError } from './flags.ts';
import { MAX_THREADS } from './verify.ts';

const DEFAULT_PORT = 8080;
const MAX_PORT = 65_535;

const HELP = `Serves packages: browsers fetch weights from it and run the blocks that they do not hold on it.

Usage: isthmus serve PKG... [OPTIONS]

  --port N         port to listen on (default ${DEFAULT_PORT}; 0: any that is free)
  --host H         address to listen on (default 127.0.0.1: this machine alone)
  --static DIR     folder of a web page to serve at /
  --tls-cert F     certificate (PEM); with --tls-key the endpoint speaks HTTPS
  --tls-key F      its key (PEM)
  --threads N      threads of each of the runtime's sessions (default 1)
  --fleet          take reports of how fast devices are, from clients whose users agreed, and tell new ones
  --fleet-file F   the same, kept in this file across restarts
  --json           print {"url", "port"} when it listens
  --help           show this

Ends on SIGINT or SIGTERM once open requests have finished; a second signal ends it at once.

Examples:
  isthmus serve ./package
  isthmus serve ./speech ./chat --host 0.0.0.0 --port 8443 --tls-cert cert.pem --tls-key key.pem
`;

export const serveCommand: Command = {
  name: 'serve',
  summary: 'run the endpoint for packages',
  help: HELP,
  run: async (args, io) => {
    const { values, positionals } = parseFlags(args, {
      port: { type: 'string' },
      host: { type: 'string' },
      static: { type: 'string' },
      'tls-cert': { type: 'string' },
      'tls-key': { type: 'string' },
      threads: { type: 'string' },
      fleet: { type: 'boolean' },
      'fleet-file': { type: 'string' },
      json: { type: 'boolean' },
    });
    if (positionals.length === 0) throw new UsageError('which package? Name at least one folder');
    const port = optionalNumber('port', values.port, { min: 0, max: MAX_PORT }) ?? DEFAULT_PORT;
    const threads = optionalNumber('threads', values.threads, { min: 1, max: MAX_THREADS });
    const tls = await readTls(values['tls-cert'], values['tls-key']);
    if (values.static !== undefined) await checkFolder(values.static);
    const packages = await Promise.all(positionals.map((dir) => openPackage(dir)));
    const file = values['fleet-file'];
    // Asked for before it listens, so that no signal in between is missed.
    const stopped = io.untilStopped();
    const endpoint = await createEndpoint({
      packages,
      port,
      log: (line) => io.stderr(`${line}\n`),
      ...(values.host === undefined ? {} : { host: values.host }),
      ...(values.static === undefined ? {} : { staticDir: values.static }),
      ...(tls === undefined ? {} : { tls }),
      ...(threads === undefined ? {} : { threads }),
      ...(file === undefined ? { fleet: values.fleet === true } : { fleet: { file } }),
    });
    announce(
      io,
      endpoint,
      packages.map((opened) => opened.manifest.name),
      values.json === true,
    );
    await stopped;
    io.stderr('stopping; once more to end at once\n');
    await endpoint.close();
    return 0;
  },
};

function announce(
  io: Io,
  { url, port }: { readonly url: string; readonly port: number },
  names: readonly string[],
  asJson: boolean,
): void {
  io.stdout(asJson ? `${JSON.stringify({ url, port })}\n` : `serving ${names.join(', ')} at ${url}\n`);
}

async function readTls(
  certPath: string | undefined,
  keyPath: string | undefined,
): Promise<{ cert: string; key: string } | undefined> {
  if (certPath === undefined && keyPath === undefined) return undefined;
  if (certPath === undefined || keyPath === undefined) {
    throw new UsageError('--tls-cert and --tls-key go together');
  }
  return { cert: await readText('tls-cert', certPath), key: await readText('tls-key', keyPath) };
}

async function readText(flag: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new IsthmusError('bad-option', `--${flag}: cannot read '${path}'`, { cause });
  }
}

async function checkFolder(path: string): Promise<void> {
  const info = await stat(path).catch(() => undefined);
  if (info?.isDirectory() !== true)
    throw new IsthmusError('bad-option', `--static: '${path}' is not a folder`);
}
