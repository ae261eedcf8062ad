import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decodeClientMessage,
  decodeServerMessage,
  encodeClientMessage,
  encodeServerMessage,
} from '../../src/protocol/frame.ts';
import { clientMessages, serverMessages } from './arbitraries.ts';
import { failureOf } from './failure.ts';
import { frameOf, frameOfText, headerOf } from './frames-by-hand.ts';

const WIRE_CODES = ['bad-frame', 'bad-tensor', 'limit-exceeded'];

describe('fuzz: hostile bytes give one of three errors or a message', () => {
  function survives(decode: (frame: Uint8Array) => unknown, frame: Uint8Array): void {
    try {
      decode(frame);
    } catch (error) {
      expect(error).toMatchObject({ name: 'IsthmusError' });
      expect(WIRE_CODES).toContain((error as { code: unknown }).code);
    }
  }

  const directions = [
    ['client', decodeClientMessage, clientMessages.map((message) => encodeClientMessage(message))],
    ['endpoint', decodeServerMessage, serverMessages.map((message) => encodeServerMessage(message))],
  ] as const;

  test.each(directions)('%s: random bytes', (_, decode) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (frame) => survives(decode, frame)),
      { numRuns: 1000 },
    );
  });

  test.each(directions)('%s: random JSON', (_, decode) => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.uint8Array({ maxLength: 9 }), (json, raw) =>
        survives(decode, frameOf(json, raw)),
      ),
      { numRuns: 500 },
    );
  });

  test.each(directions)('%s: flipped bits', (_, decode, frames) => {
    fc.assert(
      fc.property(frames, fc.array(fc.nat(), { minLength: 1, maxLength: 4 }), (frame, places) => {
        for (const place of places) {
          const at = (place >> 3) % frame.byteLength;
          frame[at] = (frame[at] ?? 0) ^ (1 << (place & 7));
        }
        survives(decode, frame);
      }),
      { numRuns: 2000 },
    );
  });

  test.each(directions)('%s: values of the header replaced', (_, decode, frames) => {
    fc.assert(
      fc.property(frames, fc.nat(), fc.jsonValue({ maxDepth: 1 }), (frame, place, value) => {
        const length = new DataView(frame.buffer).getUint32(0, true);
        let count = 0;
        const text = JSON.stringify(headerOf(frame), (key, old) =>
          key !== '' && count++ === place % 30 ? value : old,
        );
        survives(decode, frameOfText(text, frame.subarray(4 + length)));
      }),
      { numRuns: 1000 },
    );
  });

  test.each(directions)('%s: every truncation is refused', (_, decode, frames) => {
    fc.assert(
      fc.property(frames, fc.nat(), (frame, place) => {
        const failure = failureOf(() => decode(frame.subarray(0, place % frame.byteLength)));
        expect(WIRE_CODES).toContain(failure.code);
      }),
      { numRuns: 500 },
    );
  });
});
