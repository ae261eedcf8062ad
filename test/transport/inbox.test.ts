import { expect, test } from 'vitest';
import { Inbox, MAX_UNREAD_BYTES } from '../../src/transport/inbox.ts';
import { codeOf } from '../contracts/frame-connection.ts';

const half = new Uint8Array(MAX_UNREAD_BYTES / 2);

test('frames that nobody reads are refused beyond the bound', () => {
  const inbox = new Inbox();
  inbox.push(half);
  inbox.push(half);
  expect(codeOf(() => inbox.push(Uint8Array.of(1)))).toBe('limit-exceeded');
});

test('a reader lifts the bound', () => {
  const inbox = new Inbox();
  inbox.push(half);
  inbox.push(half);
  inbox.onFrame(() => {});
  expect(codeOf(() => inbox.push(half))).toBe('nothing thrown');
});

test('whoever waits for the end alone hears of it, though frames are waiting', async () => {
  const inbox = new Inbox();
  inbox.push(Uint8Array.of(1));
  const end = new Promise((resolve) => inbox.onClose(resolve));
  inbox.end(undefined);
  expect(await end).toBeUndefined();
  const late: Uint8Array[] = [];
  inbox.onFrame((frame) => late.push(frame));
  await new Promise<void>((resolve) => inbox.onClose(() => resolve()));
  expect(late).toEqual([]);
});

test('the first end counts, and nothing comes after it', async () => {
  const inbox = new Inbox();
  const got: Uint8Array[] = [];
  inbox.onFrame((frame) => got.push(frame));
  const first = new Error('first');
  inbox.end(first);
  inbox.end(new Error('second'));
  inbox.push(Uint8Array.of(1));
  expect(await new Promise((resolve) => inbox.onClose(resolve))).toBe(first);
  expect(got).toEqual([]);
});

test('each of several handlers is told of the end', async () => {
  const inbox = new Inbox();
  const told: number[] = [];
  inbox.onClose(() => told.push(1));
  inbox.onClose(() => told.push(2));
  inbox.end(undefined);
  await new Promise<void>((resolve) => inbox.onClose(() => resolve()));
  expect(told).toEqual([1, 2]);
});
