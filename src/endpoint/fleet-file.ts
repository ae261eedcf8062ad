/** Keeps what a fleet has reported across restarts: one JSON file, written beside and moved into place. */
import { readFile, rename, stat, writeFile } from 'node:fs/promises';
import { IsthmusError } from '../errors.ts';
import type { FleetDesk } from './fleet-desk.ts';

/** 9,216 cells of 33 pairs of counts are some 20 MB at the very most; more is not ours. */
const MAX_FILE_BYTES = 32 * 2 ** 20;

/** Ms between writes while reports come. */
export const SAVE_INTERVAL_MS = 60_000;

export interface FleetFile {
  /** Writes what there is, unless nothing changed. */
  save(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Takes what the file holds about packages that are served, and goes on writing to it. A file that is not there is
 * an empty one. Throws `bad-option` for one that cannot be read or is not ours, so that it is not written over.
 */
export async function openFleetFile(
  path: string,
  desk: FleetDesk,
  log: (line: string) => void,
): Promise<FleetFile> {
  let written = await read(path);
  if (written !== undefined) desk.tally.restore(cellsOf(path, written), (model) => desk.isServed(model));
  let saving: Promise<void> = Promise.resolve();
  const write = async (): Promise<void> => {
    const text = JSON.stringify({ format: FORMAT, cells: desk.tally.store() });
    if (text === written) return;
    try {
      await writeFile(`${path}.new`, text);
      await rename(`${path}.new`, path);
      written = text;
    } catch (error) {
      log(
        `the fleet's counts could not be written: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  };
  const save = (): Promise<void> => {
    saving = saving.then(write);
    return saving;
  };
  const timer = setInterval(() => void save(), SAVE_INTERVAL_MS);
  timer.unref();
  return {
    save,
    close: async () => {
      clearInterval(timer);
      await save();
    },
  };
}

const FORMAT = 'isthmus-fleet-1';

async function read(path: string): Promise<string | undefined> {
  try {
    if ((await stat(path)).size > MAX_FILE_BYTES) throw notOurs(path);
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    if (error instanceof IsthmusError) throw error;
    throw new IsthmusError('bad-option', `'${path}' cannot be read`, { cause: error });
  }
}

function cellsOf(path: string, text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw notOurs(path, cause);
  }
  if (typeof value !== 'object' || value === null || !('format' in value) || !('cells' in value)) {
    throw notOurs(path);
  }
  if (value.format !== FORMAT) throw notOurs(path);
  return value.cells;
}

function notOurs(path: string, cause?: unknown): IsthmusError {
  return new IsthmusError('bad-option', `'${path}' does not hold a fleet's counts`, { cause });
}
