/** Frames by hand, and a message to start from. */
import type { StartMessage } from '../../src/protocol/messages.ts';

export function frameOf(header: unknown, raw: Uint8Array = new Uint8Array(0)): Uint8Array {
  return frameOfText(JSON.stringify(header), raw);
}

export function frameOfText(text: string, raw: Uint8Array = new Uint8Array(0)): Uint8Array {
  const json = new TextEncoder().encode(text);
  const frame = new Uint8Array(4 + json.byteLength + raw.byteLength);
  new DataView(frame.buffer).setUint32(0, json.byteLength, true);
  frame.set(json, 4);
  frame.set(raw, 4 + json.byteLength);
  return frame;
}

export function headerOf(frame: Uint8Array): unknown {
  const length = new DataView(frame.buffer, frame.byteOffset).getUint32(0, true);
  return JSON.parse(new TextDecoder().decode(frame.subarray(4, 4 + length)));
}

export const start = (over: Partial<StartMessage> = {}): StartMessage => ({
  type: 'start',
  id: 7,
  model: 'm',
  span: { from: 1, to: 3 },
  tensors: {},
  codec: 'fp32',
  maxTokens: 10,
  prefix: [],
  ...over,
});
