/** What an endpoint's message says apart from its tensors, to and from the header of its frame. */
import { idOf, optionalCount, tokenList, tokensOf } from './common-fields.ts';
import { readLoad, writeLoad } from './endpoint-load.ts';
import { readError, writeError } from './error-fields.ts';
import type { JsonObject } from './json.ts';
import {
  amountField,
  checkLimit,
  choiceField,
  countField,
  listField,
  objectField,
  optionalObject,
  textField,
} from './json.ts';
import type { ForwardedMessage, LoopedMessage } from './lane-messages.ts';
import * as limits from './limits.ts';
import type {
  DoneMessage,
  EncodedMessage,
  EndpointTiming,
  ErrorMessage,
  HelloMessage,
  OutputMessage,
  PongMessage,
  ServerMessage,
  TokensMessage,
} from './messages.ts';
import { MAX_ENCODED_TOKENS, partOf, readAnswer } from './words-messages.ts';

export type ServerFields =
  | HelloMessage
  | TokensMessage
  | Omit<OutputMessage, 'tensors'>
  | DoneMessage
  | ErrorMessage
  | Omit<PongMessage, 'padding'>
  | EncodedMessage
  | Omit<ForwardedMessage, 'tensors'>
  | LoopedMessage;

const TYPES: readonly ServerMessage['type'][] = [
  'hello',
  'tokens',
  'output',
  'done',
  'error',
  'pong',
  'encoded',
  'forwarded',
  'looped',
];
const REASONS: readonly DoneMessage['reason'][] = ['eos', 'max-tokens', 'cancelled', 'output'];
const LOOP_REASONS: readonly LoopedMessage['reason'][] = ['end', 'max-tokens', 'stopped'];

/** Of a loop in which each token had as many guesses as a pass can have. */
const MAX_LOOP_DRAFTS = limits.MAX_TOKENS_PER_REQUEST * limits.MAX_DRAFTS;

export function writeServerFields(message: ServerMessage): JsonObject {
  const { type } = message;
  switch (message.type) {
    case 'hello':
      return {
        parameters: { type, protocol: message.protocol, models: message.models, ...writeLoad(message.load) },
      };
    case 'tokens': {
      const { step, timing, words, rows } = message;
      const tokens = {
        ...tokenList('tokens', message.tokens),
        ...(words === undefined ? {} : { words: readAnswer(words) }),
        ...(rows === undefined ? {} : { rows }),
      };
      return {
        id: String(message.id),
        parameters: { type, step, ...tokens, ...writeTiming(timing), ...writeSegments(message) },
      };
    }
    case 'output':
      return {
        id: String(message.id),
        parameters: { type, step: message.step, ...writeTiming(message.timing), ...writeSegments(message) },
      };
    case 'done': {
      const { reason, segments } = message;
      return {
        id: String(message.id),
        parameters: { type, reason, segments, ...writeTiming(message.timing) },
      };
    }
    case 'error': {
      const { error, parameters } = writeError(message.error);
      return { id: String(message.id), error, parameters: { type, ...parameters } };
    }
    case 'pong':
      return { id: String(message.id), parameters: { type, ...writeLoad(message.load) } };
    case 'encoded':
      return { id: String(message.id), parameters: { type, ...tokenList('tokens', message.tokens) } };
    case 'forwarded': {
      const { call, tokens, timing } = message;
      return {
        id: String(message.id),
        parameters: { type, call, ...tokenList('tokens', tokens), ...writeTiming(timing) },
      };
    }
    case 'looped': {
      const { call, reason, endToken, timing, drafted, accepted } = message;
      const end = {
        ...(endToken === undefined ? {} : { end_token: endToken }),
        ...(drafted === undefined ? {} : { drafted }),
        ...(accepted === undefined ? {} : { accepted }),
      };
      return { id: String(message.id), parameters: { type, call, reason, ...end, ...writeTiming(timing) } };
    }
  }
}

/** Throws `bad-frame` or `limit-exceeded`. */
export function readServerFields(header: JsonObject): ServerFields {
  const fields = optionalObject(header.parameters, 'the parameters of a message');
  const type = choiceField(fields.type, 'the type of an endpoint message', TYPES);
  switch (type) {
    case 'hello': {
      const models = listField(fields.models, 'models', limits.MAX_MODELS);
      return {
        type,
        protocol: countField(fields.protocol, 'protocol version', Number.MAX_SAFE_INTEGER),
        models: models.map((model) => textField(model, 'model name', limits.MAX_NAME_LENGTH)),
        ...readLoad(fields.load),
      };
    }
    case 'tokens':
      return {
        type,
        id: idOf(header),
        step: countField(fields.step, 'step', limits.MAX_TOKENS_PER_REQUEST),
        tokens: tokensOf(fields.tokens, 'tokens of a message', limits.MAX_TOKENS_PER_REQUEST),
        ...(fields.words === undefined
          ? {}
          : { words: partOf(objectField(fields.words, 'the texts of tokens')) }),
        ...optionalCount(fields.rows, 'rows', limits.MAX_ROWS_PER_FORWARD),
        timing: readTiming(fields),
        ...readOptionalSegments(fields.segments),
      };
    case 'output': {
      const step = countField(fields.step, 'step', limits.MAX_TOKENS_PER_REQUEST);
      const segments = readOptionalSegments(fields.segments);
      return { type, id: idOf(header), step, timing: readTiming(fields), ...segments };
    }
    case 'done': {
      const reason = choiceField(fields.reason, 'the reason of the end', REASONS);
      const segments = readSegments(fields.segments);
      return { type, id: idOf(header), reason, timing: readTiming(fields), segments };
    }
    case 'error':
      return { type, id: idOf(header, true), error: readError(header, fields, 'endpoint-failed') };
    case 'pong':
      return { type, id: idOf(header), ...readLoad(fields.load) };
    case 'encoded':
      return {
        type,
        id: idOf(header),
        tokens: tokensOf(fields.tokens, 'tokens of a text', MAX_ENCODED_TOKENS),
      };
    case 'forwarded':
      return {
        type,
        id: idOf(header),
        call: countField(fields.call, 'call', limits.MAX_CALL),
        tokens: tokensOf(fields.tokens, 'picked tokens', limits.MAX_DRAFTS + 1),
        timing: readTiming(fields),
      };
    case 'looped':
      return {
        type,
        id: idOf(header),
        call: countField(fields.call, 'call', limits.MAX_CALL),
        reason: choiceField(fields.reason, 'the reason of the end', LOOP_REASONS),
        ...(fields.end_token === undefined
          ? {}
          : { endToken: countField(fields.end_token, 'token id', limits.MAX_TOKEN_ID) }),
        ...optionalCount(fields.drafted, 'drafted', MAX_LOOP_DRAFTS),
        ...optionalCount(fields.accepted, 'accepted', limits.MAX_TOKENS_PER_REQUEST),
        timing: readTiming(fields),
      };
  }
}

function writeTiming(timing: EndpointTiming): JsonObject {
  const { queueMs, computeMs, loadMs } = timing;
  return { queue_ms: queueMs, compute_ms: computeMs, ...(loadMs === undefined ? {} : { load_ms: loadMs }) };
}

function readTiming(fields: JsonObject): EndpointTiming {
  return {
    queueMs: amountField(fields.queue_ms, 'queue time'),
    computeMs: amountField(fields.compute_ms, 'compute time'),
    ...(fields.load_ms === undefined ? {} : { loadMs: amountField(fields.load_ms, 'load time') }),
  };
}

function writeSegments({ segments }: Pick<TokensMessage, 'segments'>): JsonObject {
  return segments === undefined ? {} : { segments };
}

function readOptionalSegments(value: unknown): Pick<TokensMessage, 'segments'> {
  return value === undefined ? {} : { segments: readSegments(value) };
}

function readSegments(value: unknown): Readonly<Record<string, number>> {
  const entries = Object.entries(objectField(value, 'segments'));
  checkLimit('segments of a report', entries.length, limits.MAX_REPORT_SEGMENTS);
  return Object.fromEntries(
    entries.map(([name, ms]) => [
      textField(name, 'segment', limits.MAX_NAME_LENGTH),
      amountField(ms, 'time'),
    ]),
  );
}
