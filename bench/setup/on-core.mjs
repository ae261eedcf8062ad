/** Processes on cores of their own, as a device and an endpoint have them: on one they would slow each other. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Cores that this process may run on. */
function allowed() {
  const [, list = ''] = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  return list.split(',').flatMap((part) => {
    const [from, to = from] = part.split('-').map(Number);
    return Array.from({ length: to - from + 1 }, (_, index) => from + index);
  });
}

/**
 * Two disjoint shares of this machine's cores: half of them for a device, half for an endpoint. `undefined` where
 * there is but one core, or no `taskset`.
 * @returns {Promise<{ device: number[], endpoint: number[] } | undefined>}
 */
export async function twoMachines() {
  if (process.platform !== 'linux' || cpus().length < 2) return undefined;
  const there = await run('taskset', ['--version']).then(
    () => true,
    () => false,
  );
  const cores = allowed();
  const half = Math.floor(cores.length / 2);
  return there && half > 0 ? { device: cores.slice(half), endpoint: cores.slice(0, half) } : undefined;
}

/**
 * What `start` starts runs on these cores for good: children inherit where their parent runs when it starts them.
 * This process goes back to where it was.
 */
export async function onCores(cores, start) {
  if (cores === undefined) return start();
  const before = allowed();
  await place(cores);
  try {
    return await start();
  } finally {
    await place(before);
  }
}

/** The main thread, which is what starts processes. */
async function place(cores) {
  await run('taskset', ['-pc', cores.join(','), String(process.pid)]);
}
