import { IsthmusError } from '../errors.ts';

/** State that nobody asked for in `idleMs` was dropped; the client makes it again. */
export function idleError(what: 'step' | 'call', idleMs: number): IsthmusError {
  const message = `no ${what} came for ${idleMs} ms; the state was dropped`;
  return new IsthmusError('unknown-session', message, { details: { idleMs } });
}
