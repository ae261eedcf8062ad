/** Finds the command, runs it and turns what it throws into messages and an exit status. */
import { readFileSync } from 'node:fs';
import { ERROR_CODES, type IsthmusError, toIsthmusError } from '../errors.ts';
import type { Command, Io } from './command.ts';
import { UsageError } from './flags.ts';
import { importCommand } from './import.ts';
import { inspectCommand } from './inspect.ts';
import { serveCommand } from './serve.ts';
import { simulateCommand } from './simulate.ts';
import { verifyCommand } from './verify.ts';

const COMMANDS: readonly Command[] = [
  importCommand,
  inspectCommand,
  verifyCommand,
  serveCommand,
  simulateCommand,
];

export const EXIT_OK = 0;
export const EXIT_FAILED = 1;
/** The command line itself is wrong. */
export const EXIT_USAGE = 2;

const OVERVIEW = `Runs the early layers of a model in the browser and the rest on an endpoint.

Usage: isthmus COMMAND [OPTIONS]

${COMMANDS.map(({ name, summary }) => `  ${name.padEnd(10)}${summary}`).join('\n')}

  --help      show this, or the help of a command
  --version   show the version

Example:
  isthmus import encoder_model.onnx decoder_model_merged.onnx --out ./package
  isthmus verify ./package
  isthmus serve ./package
`;

/** `argv` without the interpreter and the script. Never throws; returns the exit status. */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined) {
    io.stderr(OVERVIEW);
    return EXIT_USAGE;
  }
  if (name === '--help' || name === '-h' || (name === 'help' && rest.length === 0)) {
    io.stdout(OVERVIEW);
    return EXIT_OK;
  }
  if (name === '--version') {
    io.stdout(`${version()}\n`);
    return EXIT_OK;
  }
  const wanted = name === 'help' ? rest[0] : name;
  const command = COMMANDS.find((candidate) => candidate.name === wanted);
  if (command === undefined) {
    const kind = name.startsWith('-') ? 'option' : 'command';
    io.stderr(`isthmus: unknown ${kind} '${wanted}'\nRun 'isthmus --help' for what there is.\n`);
    return EXIT_USAGE;
  }
  if (name === 'help' || asksForHelp(rest)) {
    io.stdout(command.help);
    return EXIT_OK;
  }
  return runCommand(command, rest, io);
}

/** `--` ends the options: what follows may be a file of that name. */
function asksForHelp(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  const options = end < 0 ? args : args.slice(0, end);
  return options.includes('--help') || options.includes('-h');
}

async function runCommand(command: Command, args: readonly string[], io: Io): Promise<number> {
  try {
    return await command.run(args, io);
  } catch (error) {
    if (error instanceof UsageError) {
      io.stderr(
        `isthmus ${command.name}: ${error.message}\nRun 'isthmus ${command.name} --help' for its options.\n`,
      );
      return EXIT_USAGE;
    }
    io.stderr(describe(toIsthmusError(error)));
    return EXIT_FAILED;
  }
}

function describe(error: IsthmusError): string {
  const { hint } = error.details;
  return `isthmus: ${error.message} [${error.code}]\n  ${typeof hint === 'string' ? hint : ERROR_CODES[error.code]}\n`;
}

/** From the package's own package.json, found upwards: sources and built files lie at different depths. */
function version(): string {
  for (const up of ['../../', '../../../']) {
    try {
      const text = readFileSync(new URL(`${up}package.json`, import.meta.url), 'utf8');
      const json: unknown = JSON.parse(text);
      if (typeof json === 'object' && json !== null && 'name' in json && json.name === 'isthmus') {
        return 'version' in json ? String(json.version) : 'unknown';
      }
    } catch {
      // Not at this depth.
    }
  }
  return 'unknown';
}
