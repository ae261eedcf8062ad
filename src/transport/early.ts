/** A connection that is begun before who needs it is there. */
import type { Connect, FrameConnection } from './transport.ts';

export interface EarlyConnection {
  /** Hands over the one that was begun to who asks first, as if it had been begun then; later ones are opened anew. */
  readonly connect: Connect;
  /** Nobody will ask: it is closed, unless somebody has it. */
  abandon(): void;
}

/** Begins at once. A failure is told to who asks first, and to nobody else. */
export function connectEarly(connect: Connect): EarlyConnection {
  const stop = new AbortController();
  let early: Promise<FrameConnection> | undefined = connect({ signal: stop.signal });
  early.catch(() => undefined);
  return {
    connect: (options = {}) => {
      const taken = early;
      early = undefined;
      if (taken === undefined) return connect(options);
      const { signal } = options;
      if (signal?.aborted === true) stop.abort(signal.reason);
      else signal?.addEventListener('abort', () => stop.abort(signal.reason), { once: true });
      return taken;
    },
    abandon: () => {
      const left = early;
      early = undefined;
      if (left === undefined) return;
      stop.abort();
      // It may have been open by then.
      left.then(
        (connection) => connection.close(),
        () => undefined,
      );
    },
  };
}
