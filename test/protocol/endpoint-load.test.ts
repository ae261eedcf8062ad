import { describe, expect, it } from 'vitest';
import { decodeServerMessage, encodeServerMessage } from '../../src/protocol/frame.ts';
import { MAX_LOAD_MODELS, MAX_LOAD_MS, MAX_LOAD_PACES, MAX_LOAD_UNITS } from '../../src/protocol/limits.ts';
import { PROTOCOL_VERSION } from '../../src/protocol/messages.ts';
import { failureOf } from './failure.ts';
import { frameOf } from './frames-by-hand.ts';

const hello = (load: unknown) =>
  frameOf({ parameters: { type: 'hello', protocol: PROTOCOL_VERSION, models: ['speech'], load } });
const pong = (load: unknown) => frameOf({ id: '1', parameters: { type: 'pong', load } });
const PACE = ['0:0-7:once', 64_000, 12.5];
const LOAD = { speech: { queueMs: 3, paces: [{ segment: '0:0-7:once', units: 64_000, ms: 12.5 }] } };

describe('the load of an endpoint', () => {
  it('rides on hello and pong', () => {
    const message = { type: 'pong', id: 4, padding: new Uint8Array(2), load: LOAD } as const;
    expect(decodeServerMessage(encodeServerMessage(message))).toEqual(message);
    const first = { type: 'hello', protocol: PROTOCOL_VERSION, models: ['speech'], load: LOAD } as const;
    expect(decodeServerMessage(encodeServerMessage(first))).toEqual(first);
  });

  it('may be missing, as older endpoints have it', () => {
    expect(decodeServerMessage(pong(undefined))).not.toHaveProperty('load');
    expect(decodeServerMessage(hello(undefined))).not.toHaveProperty('load');
    const tokens = { type: 'tokens', step: 0, tokens: [1], queue_ms: 0, compute_ms: 1 };
    expect(decodeServerMessage(frameOf({ id: '1', parameters: tokens }))).not.toHaveProperty('segments');
  });

  it('may say more than is known of: fields of a newer endpoint are passed over', () => {
    const load = { speech: { queue_ms: 1, paces: [PACE], mood: 'good' } };
    expect(decodeServerMessage(pong(load))).toMatchObject({ load: { speech: { queueMs: 1 } } });
  });

  it.each([
    ['a text', 'busy', 'bad-frame'],
    ['a list', [], 'bad-frame'],
    ['a model that is a number', { speech: 3 }, 'bad-frame'],
    ['no queue', { speech: {} }, 'bad-frame'],
    ['a queue below 0', { speech: { queue_ms: -1 } }, 'bad-frame'],
    ['a queue beyond its bound', { speech: { queue_ms: MAX_LOAD_MS + 1 } }, 'limit-exceeded'],
    ['a pace of two', { speech: { queue_ms: 0, paces: [PACE.slice(0, 2)] } }, 'bad-frame'],
    ['a pace of four', { speech: { queue_ms: 0, paces: [[...PACE, 1]] } }, 'limit-exceeded'],
    ['a pace of a half unit', { speech: { queue_ms: 0, paces: [['0:0-1:once', 0.5, 1]] } }, 'bad-frame'],
    [
      'units beyond their bound',
      { speech: { queue_ms: 0, paces: [['s', MAX_LOAD_UNITS + 1, 1]] } },
      'limit-exceeded',
    ],
    [
      'a pace beyond its bound',
      { speech: { queue_ms: 0, paces: [['s', 1, MAX_LOAD_MS + 1]] } },
      'limit-exceeded',
    ],
    [
      'too many paces',
      { speech: { queue_ms: 0, paces: Array.from({ length: MAX_LOAD_PACES + 1 }, () => PACE) } },
      'limit-exceeded',
    ],
    [
      'too many models',
      Object.fromEntries(Array.from({ length: MAX_LOAD_MODELS + 1 }, (_, at) => [`m${at}`, { queue_ms: 0 }])),
      'limit-exceeded',
    ],
  ])('that is %s is refused', (_, load, code) => {
    expect(failureOf(() => decodeServerMessage(pong(load))).code).toBe(code);
    expect(failureOf(() => decodeServerMessage(hello(load))).code).toBe(code);
  });
});
