/** What a client's message says apart from its tensors, to and from the header of its frame. */
import { CODECS } from '../core/span.ts';
import { idOf, tokenList, tokensOf, wantedWords } from './common-fields.ts';
import {
  badFrame,
  choiceField,
  countField,
  flagField,
  type JsonObject,
  optionalObject,
  textField,
} from './json.ts';
import {
  isLaneMessage,
  LANE_CLIENT_TYPES,
  type LaneClientFields,
  readLaneClientFields,
  writeLaneClientFields,
} from './lane-client-fields.ts';
import {
  MAX_BLOCKS,
  MAX_NAME_LENGTH,
  MAX_PREFIX_TOKENS,
  MAX_PROBE_BYTES,
  MAX_TOKENS_PER_REQUEST,
} from './limits.ts';
import type {
  CancelMessage,
  ClientMessage,
  EncodeMessage,
  PingMessage,
  StartMessage,
  StepMessage,
} from './messages.ts';
import { MAX_FAR_TEXT } from './words-messages.ts';

export type ClientFields =
  | Omit<StartMessage, 'tensors'>
  | Omit<StepMessage, 'tensors'>
  | CancelMessage
  | Omit<PingMessage, 'padding'>
  | EncodeMessage
  | LaneClientFields;

const TYPES = ['start', 'step', 'cancel', 'ping', 'encode'] as const;

export function writeClientFields(message: ClientMessage): JsonObject {
  if (isLaneMessage(message)) return writeLaneClientFields(message);
  const { type } = message;
  const id = String(message.id);
  switch (message.type) {
    case 'start': {
      const { from, to } = message.span;
      const { codec, maxTokens: max_tokens } = message;
      const more = { ...tokenList('prefix', message.prefix), ...wantedWords(message.words) };
      return { id, model_name: message.model, parameters: { type, from, to, codec, max_tokens, ...more } };
    }
    case 'step':
      return { id, parameters: { type, step: message.step } };
    case 'cancel':
      return { id, parameters: { type } };
    case 'ping':
      return { id, parameters: { type, reply_bytes: message.replyBytes } };
    case 'encode': {
      const { model, text, special } = message;
      return { id, model_name: model, parameters: { type, text, special } };
    }
  }
}

/** Throws `bad-frame` or `limit-exceeded`. */
export function readClientFields(header: JsonObject): ClientFields {
  const fields = optionalObject(header.parameters, 'the parameters of a message');
  const id = idOf(header);
  if (typeof fields.type === 'string' && LANE_CLIENT_TYPES.includes(fields.type)) {
    return readLaneClientFields(header, fields, id);
  }
  const type = choiceField(fields.type, 'the type of a client message', TYPES);
  switch (type) {
    case 'start': {
      const from = countField(fields.from, 'first block of a span', MAX_BLOCKS);
      const to = countField(fields.to, 'end of a span', MAX_BLOCKS);
      if (to <= from) throw badFrame(`[${from}, ${to}) is not a span`);
      return {
        type,
        id,
        model: textField(header.model_name, 'model name', MAX_NAME_LENGTH),
        span: { from, to },
        codec: choiceField(fields.codec, 'codec', CODECS),
        maxTokens: countField(fields.max_tokens, 'tokens of a request', MAX_TOKENS_PER_REQUEST),
        prefix: tokensOf(fields.prefix, 'tokens of a prefix', MAX_PREFIX_TOKENS),
        ...wantedWords(fields.words),
      };
    }
    case 'step':
      return { type, id, step: countField(fields.step, 'step', MAX_TOKENS_PER_REQUEST) };
    case 'cancel':
      return { type, id };
    case 'ping':
      return { type, id, replyBytes: countField(fields.reply_bytes, 'bytes of a probe', MAX_PROBE_BYTES) };
    case 'encode':
      return {
        type,
        id,
        model: textField(header.model_name, 'model name', MAX_NAME_LENGTH),
        text: textField(fields.text, 'the text', MAX_FAR_TEXT),
        special: flagField(fields.special, 'whether special tokens are wanted'),
      };
  }
}
