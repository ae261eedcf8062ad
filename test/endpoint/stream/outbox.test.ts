import { expect, it } from 'vitest';
import { Outbox, type OutboxSocket } from '../../../src/endpoint/stream/outbox.ts';

/** A socket whose network takes bytes only when told to. */
function slowSocket() {
  const sent: (() => void)[] = [];
  const log: string[] = [];
  const state = { bufferedAmount: 0, readyState: 1 as OutboxSocket['readyState'] };
  const socket = {
    OPEN: 1,
    get bufferedAmount() {
      return state.bufferedAmount;
    },
    get readyState() {
      return state.readyState;
    },
    send: (data: Uint8Array, _options: unknown, done: () => void) => {
      state.bufferedAmount += data.byteLength;
      sent.push(() => {
        state.bufferedAmount -= data.byteLength;
        done();
      });
    },
    pause: () => log.push('pause'),
    resume: () => log.push('resume'),
  } as unknown as OutboxSocket;
  return { socket, state, log, drainOne: () => sent.shift()?.() };
}

it('stops reading and makes producers wait while the client is slow', async () => {
  const { socket, log, drainOne } = slowSocket();
  const outbox = new Outbox(socket, 100);
  outbox.send(new Uint8Array(80));
  await outbox.room();
  outbox.send(new Uint8Array(80));
  expect(log).toEqual(['pause']);
  let waited = false;
  const room = outbox.room().then(() => {
    waited = true;
  });
  await Promise.resolve();
  expect(waited).toBe(false);
  drainOne();
  await room;
  expect(log).toEqual(['pause', 'resume']);
});

it('lets nobody wait on a socket that is closed', async () => {
  const { socket, state } = slowSocket();
  const outbox = new Outbox(socket, 10);
  outbox.send(new Uint8Array(20));
  const room = outbox.room();
  state.readyState = 3;
  outbox.closed();
  await room;
  outbox.send(new Uint8Array(20));
  expect(state.bufferedAmount).toBe(20);
});
