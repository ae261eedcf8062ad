/**
 * Messages to frames and back, without I/O. A frame is a u32le header length, a JSON header in the form
 * of an Open Inference Protocol request (to the endpoint) or response (from it), then the raw tensors.
 * The message's own fields are the header's `parameters`. A tensor of the model carries its `phase`;
 * one without belongs to the message itself (padding of a probe).
 *
 * Everything here throws `bad-frame` for what is malformed, `bad-tensor` for tensors that contradict
 * themselves and `limit-exceeded` over a bound, and nothing else. Encoding holds itself to the same
 * checks, so what it returns can be decoded. Fields that are not known are ignored, so that a later
 * version can add some.
 */
import type { Codec, Phase, PhaseTensors } from '../core/span.ts';
import { readClientFields, writeClientFields } from './client-fields.ts';
import { joinFrame, splitFrame } from './envelope.ts';
import type { JsonObject } from './json.ts';
import type { ClientMessage, ServerMessage } from './messages.ts';
import type { OutgoingTensor } from './oip.ts';
import { readTensors, writeTensors } from './oip.ts';
import { groupByPhase, listByPhase, paddingOf, paddingTensor } from './phase-tensors.ts';
import { readServerFields, writeServerFields } from './server-fields.ts';

export interface EncodeOptions {
  /** Which tensors a lossy codec may touch; default: none. */
  readonly lossy?: (phase: Phase, name: string) => boolean;
  /** For messages that do not name a codec: that of the request or lane. Default `fp32`. */
  readonly codec?: Codec;
}

export function encodeClientMessage(
  message: ClientMessage,
  options: EncodeOptions = {},
): Uint8Array<ArrayBuffer> {
  const fields = writeClientFields(message);
  // What the reader would refuse is refused here, with the same error.
  readClientFields(fields);
  switch (message.type) {
    case 'ping':
      return encode(fields, 'inputs', paddingTensor(message.padding));
    case 'start':
      return encode(fields, 'inputs', outgoing(message.tensors, message.codec, options));
    case 'step':
    case 'forward':
      return encode(fields, 'inputs', outgoing(message.tensors, options.codec, options));
    case 'write-state':
      return encode(fields, 'inputs', outgoing(message.tensors, 'fp32', {}));
    default:
      return encode(fields, 'inputs', []);
  }
}

export function decodeClientMessage(frame: Uint8Array): ClientMessage {
  const { header, raw } = splitFrame(frame);
  const fields = readClientFields(header);
  const tensors = readTensors(header.inputs, raw);
  switch (fields.type) {
    case 'ping':
      return { ...fields, padding: paddingOf(tensors) };
    case 'start':
    case 'step':
    case 'forward':
    case 'write-state':
      return { ...fields, tensors: groupByPhase(tensors) };
    default:
      return fields;
  }
}

export function encodeServerMessage(
  message: ServerMessage,
  options: EncodeOptions = {},
): Uint8Array<ArrayBuffer> {
  const fields = writeServerFields(message);
  readServerFields(fields);
  if (message.type === 'pong') return encode(fields, 'outputs', paddingTensor(message.padding));
  if (message.type !== 'output' && message.type !== 'forwarded') return encode(fields, 'outputs', []);
  return encode(fields, 'outputs', outgoing(message.tensors, options.codec, options));
}

export function decodeServerMessage(frame: Uint8Array): ServerMessage {
  const { header, raw } = splitFrame(frame);
  const fields = readServerFields(header);
  const tensors = readTensors(header.outputs, raw);
  if (fields.type === 'pong') return { ...fields, padding: paddingOf(tensors) };
  if (fields.type === 'output' || fields.type === 'forwarded') {
    return { ...fields, tensors: groupByPhase(tensors) };
  }
  return fields;
}

function outgoing(
  tensors: PhaseTensors,
  codec: Codec | undefined,
  options: EncodeOptions,
): readonly OutgoingTensor[] {
  return listByPhase(tensors).map(({ phase, name, tensor }) => ({
    name,
    tensor,
    codec: codec ?? 'fp32',
    lossy: options.lossy?.(phase, name) ?? false,
    isCompact: true,
    parameters: { phase },
  }));
}

function encode(
  fields: JsonObject,
  key: 'inputs' | 'outputs',
  tensors: readonly OutgoingTensor[],
): Uint8Array<ArrayBuffer> {
  const { entries, chunks } = writeTensors(tensors);
  return joinFrame(entries.length === 0 ? fields : { ...fields, [key]: entries }, chunks);
}
