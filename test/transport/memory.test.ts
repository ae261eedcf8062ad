import { expect, test } from 'vitest';
import { memoryPair } from '../../src/transport/memory.ts';
import { closed, describeFrameConnection, receive } from '../contracts/frame-connection.ts';

describeFrameConnection('a memory pair', async () => {
  const [left, right] = memoryPair();
  return {
    left,
    right,
    breakLink: () => left.break(),
    async dispose() {
      left.close();
    },
  };
});

test('a break loses the frames on their way and keeps its cause', async () => {
  const [left, right] = memoryPair();
  const got: Uint8Array[] = [];
  right.onFrame((frame) => got.push(frame));
  const end = closed(right);
  left.send(Uint8Array.of(1));
  const cause = new Error('pulled the plug');
  left.break(cause);
  expect(await end).toMatchObject({ code: 'endpoint-lost', cause });
  expect(got).toEqual([]);
});

test('the receiver does not see what the sender does to its buffer afterwards', async () => {
  const [left, right] = memoryPair();
  const arrived = receive(right, 2);
  const typed = Uint8Array.of(1);
  const buffer = Buffer.from([2]);
  left.send(typed);
  left.send(buffer);
  typed[0] = 9;
  buffer[0] = 9;
  expect((await arrived).map((frame) => frame[0])).toEqual([1, 2]);
});

test('counts what each end sent', () => {
  const [left, right] = memoryPair();
  left.send(new Uint8Array(3));
  left.send(new Uint8Array(4));
  right.send(new Uint8Array(5));
  expect(left.sent).toEqual({ frames: 2, bytes: 7 });
  expect(right.sent).toEqual({ frames: 1, bytes: 5 });
});
