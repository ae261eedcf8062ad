/** What every `FrameConnection` must do. Run it against each implementation. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isIsthmusError } from '../../src/errors.ts';
import type { FrameConnection } from '../../src/transport/transport.ts';

export interface ConnectionPair {
  readonly left: FrameConnection;
  readonly right: FrameConnection;
  /** Breaks the link without a goodbye. */
  breakLink(): void;
  dispose(): Promise<void>;
}

/** Resolves with the next `count` frames; sets the handler now. */
export function receive(connection: FrameConnection, count: number): Promise<Uint8Array[]> {
  const frames: Uint8Array[] = [];
  return new Promise((resolve, reject) => {
    connection.onFrame((frame) => {
      frames.push(frame);
      if (frames.length === count) resolve(frames);
    });
    connection.onClose(() => reject(new Error(`closed after ${frames.length} of ${count} frames`)));
  });
}

export function closed(connection: FrameConnection): Promise<Error | undefined> {
  return new Promise((resolve) => connection.onClose(resolve));
}

export function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    return isIsthmusError(error) ? error.code : `foreign: ${String(error)}`;
  }
  return 'nothing thrown';
}

const frame = (...bytes: number[]) => Uint8Array.from(bytes);
const numbered = (count: number) => Array.from({ length: count }, (_, i) => frame(i & 255, i >> 8));

export function describeFrameConnection(name: string, open: () => Promise<ConnectionPair>): void {
  describe(`${name} is a FrameConnection`, () => {
    let pair: ConnectionPair;
    beforeEach(async () => {
      pair = await open();
    });
    afterEach(() => pair.dispose());

    test('carries whole frames in order, both ways at once', async () => {
      const { left, right } = pair;
      const arrived = Promise.all([receive(left, 500), receive(right, 500)]);
      for (const each of numbered(500)) {
        left.send(each);
        right.send(each);
      }
      expect(await arrived).toEqual([numbered(500), numbered(500)]);
    });

    test.each([0, 1, 125, 126, 65_535, 65_536, 3_000_000])('carries a frame of %i bytes', async (length) => {
      const sent = new Uint8Array(length).map((_, i) => (i * 31 + (i >> 8)) & 255);
      const arrived = receive(pair.right, 1);
      pair.left.send(sent);
      const [got] = await arrived;
      expect(got?.byteLength).toBe(length);
      expect(Buffer.compare(got ?? frame(1), sent)).toBe(0);
    });

    test('sends what a view shows and nothing around it', async () => {
      const arrived = receive(pair.right, 2);
      pair.left.send(frame(1, 2, 3, 4, 5).subarray(1, 4));
      pair.left.send(Buffer.from('abc').subarray(1));
      expect((await arrived).map((each) => Array.from(each))).toEqual([
        [2, 3, 4],
        [98, 99],
      ]);
    });

    test('never delivers within a call of send', async () => {
      const events: string[] = [];
      pair.right.onFrame((each) => {
        events.push('handler');
        pair.right.send(each);
      });
      const answer = receive(pair.left, 1);
      pair.left.send(frame(1));
      events.push('sent');
      await answer;
      expect(events).toEqual(['sent', 'handler']);
    });

    test('holds frames until there is a handler', async () => {
      const { left, right } = pair;
      const order = new Promise<void>((resolve) => left.onFrame(() => resolve()));
      for (const each of numbered(20)) left.send(each);
      // The other side's answer shows that the link has had time; nobody listens on the right.
      right.send(frame(0));
      await order;
      expect(await receive(right, 20)).toEqual(numbered(20));
    });

    test('gives frames to the handler that was set last', async () => {
      const { left, right } = pair;
      const before: Uint8Array[] = [];
      const first = new Promise<void>((resolve) =>
        right.onFrame((each) => {
          before.push(each);
          resolve();
        }),
      );
      left.send(frame(1));
      await first;
      const second = receive(right, 1);
      left.send(frame(2));
      expect(await second).toEqual([frame(2)]);
      expect(before).toEqual([frame(1)]);
    });

    test('a clean close comes after the frames that were sent before it', async () => {
      const { left, right } = pair;
      const events: string[] = [];
      right.onFrame((each) => events.push(`frame ${each[0]}`));
      const end = closed(right).then((error) => events.push(`closed ${error}`));
      left.send(frame(1));
      left.send(frame(2));
      left.close();
      await end;
      expect(events).toEqual(['frame 1', 'frame 2', 'closed undefined']);
    });

    test('frames and a close that came before any handler are told in order', async () => {
      const { left, right } = pair;
      const events: string[] = [];
      left.send(frame(1));
      left.close();
      const end = closed(right).then(() => events.push('closed'));
      right.onFrame((each) => events.push(`frame ${each[0]}`));
      await end;
      expect(events).toEqual(['frame 1', 'closed']);
    });

    test('the end that closes is told too, and not within the call', async () => {
      let told = false;
      const end = closed(pair.left).then((error) => {
        told = true;
        return error;
      });
      pair.left.close();
      expect(told).toBe(false);
      expect(await end).toBeUndefined();
    });

    test('a handler for the end is called once, however often it ends', async () => {
      const { left, right } = pair;
      const calls: (Error | undefined)[] = [];
      left.onClose((error) => calls.push(error));
      const both = Promise.all([closed(left), closed(right)]);
      left.close();
      left.close();
      right.close();
      await both;
      pair.breakLink();
      await pair.dispose();
      expect(calls).toEqual([undefined]);
    });

    test('a handler that is set after the end is called', async () => {
      const end = closed(pair.right);
      pair.left.close();
      await end;
      expect(await closed(pair.right)).toBeUndefined();
      expect(await closed(pair.left)).toBeUndefined();
    });

    test('sending after the end throws endpoint-lost at both ends', async () => {
      const { left, right } = pair;
      const end = closed(right);
      left.close();
      expect(codeOf(() => left.send(frame(1)))).toBe('endpoint-lost');
      await end;
      expect(codeOf(() => right.send(frame(1)))).toBe('endpoint-lost');
    });

    test('no frame is delivered after its own end closed', async () => {
      const { left, right } = pair;
      const got: Uint8Array[] = [];
      left.onFrame((each) => {
        got.push(each);
        left.close();
      });
      const ends = Promise.all([closed(left), closed(right)]);
      for (const each of numbered(5)) right.send(each);
      await ends;
      expect(got).toEqual([frame(0, 0)]);
    });

    test('a broken link is endpoint-lost at both ends', async () => {
      const { left, right } = pair;
      const ends = Promise.all([closed(left), closed(right)]);
      pair.breakLink();
      for (const error of await ends) expect(error).toMatchObject({ code: 'endpoint-lost' });
      expect(codeOf(() => left.send(frame(1)))).toBe('endpoint-lost');
      expect(codeOf(() => right.send(frame(1)))).toBe('endpoint-lost');
    });

    test('what waits to be sent is a number of bytes', () => {
      expect(pair.left.buffered).toBe(0);
      pair.left.send(new Uint8Array(1000));
      expect(pair.left.buffered).toBeGreaterThanOrEqual(0);
    });
  });
}
