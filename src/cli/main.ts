#!/usr/bin/env node
/** `isthmus`: the process around `run`. */
import { collectSeldom } from './collect-seldom.ts';
import { run } from './run.ts';

/** 128 + SIGINT, as shells report it. */
const EXIT_INTERRUPTED = 130;

// `isthmus inspect PKG | head` closes the pipe early: that is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

function untilStopped(): Promise<void> {
  return new Promise((resolve) => {
    let asked = false;
    const stop = (): void => {
      if (asked) process.exit(EXIT_INTERRUPTED);
      asked = true;
      resolve();
    };
    process.on('SIGINT', stop);
    process.on('SIGTERM', stop);
  });
}

const args = process.argv.slice(2);
// The process is the command line's own: an application that starts an endpoint itself says how its heap grows.
if (args[0] === 'serve') collectSeldom();

process.exitCode = await run(args, {
  stdout: (text) => void process.stdout.write(text),
  stderr: (text) => void process.stderr.write(text),
  untilStopped,
  terminal: process.stderr.isTTY === true,
  env: process.env,
});
