/** What a command is, and the little that it may know of the process around it. */

export interface Io {
  /** Writes to standard output as it stands; results alone go there. */
  readonly stdout: (text: string) => void;
  /** Writes to standard error: progress, warnings, failures. */
  readonly stderr: (text: string) => void;
  /** Resolves when the user or the system asks to stop; a second request ends the process at once. */
  readonly untilStopped: () => Promise<void>;
  /** Standard error is a terminal, where a line can be written over. */
  readonly terminal?: boolean;
  /** Environment variables; none where absent. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

export interface Command {
  readonly name: string;
  /** One line for the overview. */
  readonly summary: string;
  /** What `--help` prints: usage, flags with units and defaults, examples. */
  readonly help: string;
  /** Returns the exit status: 0 done, 1 the answer is no. Throws `IsthmusError` for failures. */
  readonly run: (args: readonly string[], io: Io) => Promise<number>;
}
