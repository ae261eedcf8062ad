import { expect, test } from 'vitest';
import type { Clock } from '../../src/core/clock.ts';
import { countFrames, type TrafficEvent } from '../../src/transport/counting.ts';
import { memoryPair } from '../../src/transport/memory.ts';
import type { FrameConnection } from '../../src/transport/transport.ts';
import { codeOf, describeFrameConnection, receive } from '../contracts/frame-connection.ts';

/** One millisecond later at each look. */
function tickingClock(): Clock {
  let time = 0;
  return { now: () => ++time, epoch: () => 0 };
}

describeFrameConnection('a counted connection', async () => {
  const [left, right] = memoryPair();
  return {
    left: countFrames(left, { clock: tickingClock() }),
    right: countFrames(right, { clock: tickingClock() }),
    breakLink: () => left.break(),
    async dispose() {
      left.close();
    },
  };
});

test('counts both ways and tells each frame with its time', async () => {
  const [near, far] = memoryPair();
  const events: TrafficEvent[] = [];
  const counted = countFrames(near, { clock: tickingClock(), onTraffic: (event) => events.push(event) });
  const arrived = receive(counted, 2);
  counted.send(new Uint8Array(10));
  far.send(new Uint8Array(3));
  far.send(new Uint8Array(4));
  await arrived;
  expect(counted.traffic).toEqual({ framesUp: 1, bytesUp: 10, framesDown: 2, bytesDown: 7 });
  expect(events).toEqual([
    { direction: 'up', bytes: 10, at: 1, queued: 0 },
    { direction: 'down', bytes: 3, at: 2, queued: 0 },
    { direction: 'down', bytes: 4, at: 3, queued: 0 },
  ]);
});

test('tells what was waiting before the frame', () => {
  let waiting = 5;
  const slow: FrameConnection = {
    get buffered() {
      return waiting;
    },
    send: (frame) => {
      waiting += frame.byteLength;
    },
    onFrame: () => {},
    onClose: () => {},
    close: () => {},
  };
  const queued: number[] = [];
  const counted = countFrames(slow, {
    clock: tickingClock(),
    onTraffic: (event) => queued.push(event.queued),
  });
  counted.send(new Uint8Array(7));
  counted.send(new Uint8Array(7));
  expect(queued).toEqual([5, 12]);
  expect(counted.buffered).toBe(19);
});

test('does not count what could not be sent', () => {
  const [near] = memoryPair();
  const counted = countFrames(near, { clock: tickingClock() });
  counted.close();
  expect(codeOf(() => counted.send(Uint8Array.of(1)))).toBe('endpoint-lost');
  expect(counted.traffic.framesUp).toBe(0);
});

test('is up to date when the handler of the frame runs', async () => {
  const [near, far] = memoryPair();
  const counted = countFrames(near, { clock: tickingClock() });
  const seen = new Promise((resolve) => counted.onFrame(() => resolve(counted.traffic.bytesDown)));
  far.send(new Uint8Array(6));
  expect(await seen).toBe(6);
});
