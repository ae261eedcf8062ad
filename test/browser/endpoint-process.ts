/** A real endpoint in a process of its own, so that a test can kill it and start it again. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

const root = new URL('../../', import.meta.url).pathname;

export interface EndpointProcess {
  readonly url: string;
  readonly port: number;
  /** Ends it without a word, as a crash or a lost machine would. */
  kill(): Promise<void>;
  /** Stops it as an operator would. */
  stop(): Promise<void>;
}

/** @param port 0 for any that is free */
export async function startEndpoint(
  packages: readonly string[],
  options: { readonly staticDir?: string; readonly port?: number } = {},
): Promise<EndpointProcess> {
  const child = spawn(
    process.execPath,
    [
      join(root, 'dist/src/cli/main.js'),
      'serve',
      ...packages,
      ...['--port', String(options.port ?? 0), '--json'],
      ...(options.staticDir === undefined ? [] : ['--static', options.staticDir]),
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const { url, port } = await listening(child);
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  };
  return { url, port, kill: () => end('SIGKILL'), stop: () => end('SIGTERM') };
}

async function listening(child: ChildProcess): Promise<{ url: string; port: number }> {
  const failed = once(child, 'exit').then(([code]) => {
    throw new Error(`the endpoint ended with ${String(code)} before it listened`);
  });
  const said = (async () => {
    let text = '';
    for await (const chunk of child.stdout ?? []) {
      text += String(chunk);
      if (text.trimEnd().endsWith('}')) return JSON.parse(text) as { url: string; port: number };
    }
    throw new Error('the endpoint said nothing');
  })();
  return Promise.race([said, failed]);
}
