/** Runs the command line in this process and keeps what it wrote. */
import { run } from '../../src/cli/run.ts';

export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  /** Called with what is on standard output so far, each time something is written. */
  readonly onStdout?: (text: string) => void;
  readonly untilStopped?: () => Promise<void>;
  readonly terminal?: boolean;
  readonly env?: Readonly<Record<string, string>>;
}

export async function cli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  let stdout = '';
  let stderr = '';
  const code = await run(args, {
    stdout: (text) => {
      stdout += text;
      options.onStdout?.(stdout);
    },
    stderr: (text) => {
      stderr += text;
    },
    ...(options.terminal !== undefined && { terminal: options.terminal }),
    ...(options.env !== undefined && { env: options.env }),
    untilStopped:
      options.untilStopped ?? (() => Promise.reject(new Error('this command was to end by itself'))),
  });
  return { code, stdout, stderr };
}
