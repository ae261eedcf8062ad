import fc from 'fast-check';
import { beforeAll, expect, it } from 'vitest';
import type { OpenedPackage } from '../../src/package/node/open-package.ts';
import { encodeClientMessage } from '../../src/protocol/frame.ts';
import type { ClientMessage } from '../../src/protocol/messages.ts';
import { httpInfer } from '../../src/transport/http.ts';
import { importSpeech, onDisk } from './packages.ts';
import { connect, features, reference, start } from './with-endpoint.ts';

let speech: OpenedPackage;
let blocks: number;

beforeAll(async () => {
  speech = await onDisk(await importSpeech('speech', []));
  blocks = speech.manifest.blocks.length;
});

/** Messages that are well formed but mostly make no sense together. */
function messages(): fc.Arbitrary<ClientMessage> {
  const id = fc.nat(3);
  const tensors = fc.constantFrom(
    {},
    { once: { features: features(2) } },
    { step: { 'dec.x1': features(1) } },
  );
  const block = fc.nat(blocks + 1);
  return fc.oneof(
    fc.record({
      type: fc.constant('start' as const),
      id,
      model: fc.constantFrom('speech', 'nobody'),
      span: fc.tuple(block, block).map(([a, b]) => ({ from: Math.min(a, b), to: Math.max(a, b) + 1 })),
      tensors,
      codec: fc.constantFrom('fp32' as const, 'fp16' as const, 'int8' as const),
      maxTokens: fc.nat(5),
      prefix: fc.array(fc.nat(40), { maxLength: 2 }),
    }),
    fc.record({ type: fc.constant('step' as const), id, step: fc.nat(3), tensors }),
    fc.record({ type: fc.constant('cancel' as const), id }),
    fc.record({
      type: fc.constant('encode' as const),
      id,
      model: fc.constantFrom('speech', 'nobody'),
      text: fc.string({ minLength: 1, maxLength: 20 }),
      special: fc.boolean(),
    }),
    fc.record({
      type: fc.constant('ping' as const),
      id,
      replyBytes: fc.nat(1000),
      padding: fc.uint8Array({ maxLength: 50 }),
    }),
  );
}

/** A whole frame, one cut short, one with some bytes changed, or noise. */
function frames(): fc.Arbitrary<Uint8Array> {
  const whole = messages().map((message): Uint8Array => encodeClientMessage(message));
  const cut = fc.tuple(whole, fc.nat()).map(([frame, at]) => frame.slice(0, at % (frame.length + 1)));
  const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 });
  const changed = fc.tuple(whole, changes).map(([frame, edits]) => {
    const copy = frame.slice();
    for (const [at, byte] of edits) copy[at % copy.length] = byte;
    return copy;
  });
  return fc.oneof(whole, cut, changed, fc.uint8Array({ maxLength: 200 }));
}

it('no sequence of frames ends the connection, leaks state or spoils the next request', async () => {
  const endpoint = await start({ packages: [speech] });
  const expected = await reference(speech, features(), 4);
  await fc.assert(
    fc.asyncProperty(fc.array(frames(), { maxLength: 12 }), async (sequence) => {
      const client = await connect(endpoint);
      for (const frame of sequence) client.socket.send(frame);
      const span = { from: 0, to: blocks };
      client.start({
        id: 77,
        model: 'speech',
        span,
        tensors: { once: { features: features() } },
        maxTokens: 4,
      });
      const tokens: number[] = [];
      for (;;) {
        const message = await client.any();
        if (!('id' in message) || message.id !== 77) continue;
        if (message.type === 'done') break;
        if (message.type !== 'tokens') throw new Error(JSON.stringify(message));
        tokens.push(...message.tokens);
      }
      expect(tokens).toEqual(expected);
      await client.close();
      await expect.poll(() => endpoint.activeRequests).toBe(0);
    }),
    { numRuns: 40 },
  );
});

it('no body is answered with a broken connection or a fault of ours', async () => {
  const endpoint = await start({ packages: [speech] });
  const json = fc.json().map((text): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text));
  const nearly = fc
    .record({
      inputs: fc.array(
        fc.record({
          name: fc.constantFrom('features', 'other', '__proto__', ''),
          datatype: fc.constantFrom('FP32', 'INT64', 'BYTES', 4),
          shape: fc.constantFrom([1, 1, 8], [1, -1, 8], [2 ** 40, 2 ** 40], 'all'),
          data: fc.constantFrom([0, 0, 0, 0, 0, 0, 0, 0], [[[0]]], ['x'], null),
        }),
        { maxLength: 2 },
      ),
      parameters: fc.constantFrom(undefined, null, { span: [0, 2] }, { max_tokens: -1 }, { codec: 'mp3' }),
    })
    .map((value): Uint8Array<ArrayBuffer> => new TextEncoder().encode(JSON.stringify(value)));
  const noise = fc
    .uint8Array({ maxLength: 100 })
    .map((bytes): Uint8Array<ArrayBuffer> => new Uint8Array(bytes));
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(json, nearly, noise),
      fc.constantFrom(undefined, '0', '5', '99999', 'x'),
      async (body, length) => {
        const headers: Record<string, string> =
          length === undefined ? {} : { 'Inference-Header-Content-Length': length };
        const response = await fetch(`${endpoint.url}/v2/models/speech/infer`, {
          method: 'POST',
          body,
          headers,
        });
        await response.arrayBuffer();
        expect(response.status === 200 || (response.status >= 400 && response.status < 500)).toBe(true);
      },
    ),
    { numRuns: 150 },
  );
  const input = { name: 'features', tensor: features() };
  const answer = await httpInfer(endpoint.url, 'speech', [input], { fetch, parameters: { max_tokens: 4 } });
  expect(answer.outputs[0]?.tensor.dims).toEqual([1, 4]);
  expect(endpoint.activeRequests).toBe(0);
});
