import { describe, expect, it } from 'vitest';
import { connectEarly } from '../../src/transport/early.ts';
import type { Connect, ConnectOptions, FrameConnection } from '../../src/transport/transport.ts';

/** Connections that open when they are told to; what each was asked with. */
function network() {
  const asked: ConnectOptions[] = [];
  const opening: { resolve: (one: FrameConnection) => void; reject: (error: Error) => void }[] = [];
  const closed: FrameConnection[] = [];
  const connect: Connect = (options = {}) => {
    asked.push(options);
    return new Promise((resolve, reject) => {
      opening.push({ resolve, reject });
      options.signal?.addEventListener('abort', () => reject(new Error('aborted')));
    });
  };
  const connection = (): FrameConnection => {
    const one: FrameConnection = {
      buffered: 0,
      send: () => undefined,
      onFrame: () => undefined,
      onClose: () => undefined,
      close: () => closed.push(one),
    };
    return one;
  };
  return { asked, opening, closed, connect, connection };
}

describe('a connection that is begun early', () => {
  it('is the first one that is asked for, and no other', async () => {
    const { asked, opening, connect, connection } = network();
    const early = connectEarly(connect);
    expect(asked).toHaveLength(1);
    const first = early.connect();
    const second = early.connect({ timeoutMs: 7 });
    expect(asked.map(({ timeoutMs }) => timeoutMs)).toEqual([undefined, 7]);
    const both = [connection(), connection()] as const;
    opening[0]?.resolve(both[0]);
    opening[1]?.resolve(both[1]);
    expect(await first).toBe(both[0]);
    expect(await second).toBe(both[1]);
  });

  it('fails for who asks, not before, and the next one is begun anew', async () => {
    const { opening, asked, connect, connection } = network();
    const early = connectEarly(connect);
    opening[0]?.reject(new Error('refused'));
    await new Promise((resolve) => setTimeout(resolve));
    await expect(early.connect()).rejects.toThrow('refused');
    const again = early.connect();
    opening[1]?.resolve(connection());
    await again;
    expect(asked).toHaveLength(2);
  });

  it.each([true, false])('ends with its asker: aborted before it is asked for: %s', async (isBefore) => {
    const { connect } = network();
    const early = connectEarly(connect);
    const asker = new AbortController();
    if (isBefore) asker.abort();
    const asking = early.connect({ signal: asker.signal });
    asker.abort();
    await expect(asking).rejects.toThrow('aborted');
  });

  it('is closed when nobody will ask, whether it is open by then or not, and stays open for who has it', async () => {
    const opened = network();
    const early = connectEarly(opened.connect);
    const one = opened.connection();
    opened.opening[0]?.resolve(one);
    early.abandon();
    await new Promise((resolve) => setTimeout(resolve));
    expect(opened.closed).toEqual([one]);
    const opening = network();
    connectEarly(opening.connect).abandon();
    expect(opening.asked[0]?.signal?.aborted).toBe(true);
    const taken = network();
    const kept = connectEarly(taken.connect);
    const has = kept.connect();
    kept.abandon();
    taken.opening[0]?.resolve(taken.connection());
    await has;
    expect(taken.closed).toEqual([]);
  });
});
