/** What a client says about a lane apart from tensors, to and from the header of its frame. */
import type { Sampling } from '../core/sampling.ts';
import { CODECS, type Span } from '../core/span.ts';
import { optionalCount, tokenList, tokensOf, wantedWords } from './common-fields.ts';
import {
  amountUpTo,
  badFrame,
  choiceField,
  countField,
  type JsonObject,
  objectField,
  textField,
} from './json.ts';
import type {
  ForwardMessage,
  HaltMessage,
  LaneClientMessage,
  LoopMessage,
  OpenLaneMessage,
  ReadStateMessage,
  WriteStateMessage,
} from './lane-messages.ts';
import * as limits from './limits.ts';

export type LaneClientFields =
  | OpenLaneMessage
  | Omit<ForwardMessage, 'tensors'>
  | LoopMessage
  | HaltMessage
  | ReadStateMessage
  | Omit<WriteStateMessage, 'tensors'>;

type LaneClientType = LaneClientMessage['type'];

const TYPES: readonly LaneClientType[] = ['open', 'forward', 'loop', 'halt', 'read-state', 'write-state'];
const WANTS: readonly ForwardMessage['want'][] = ['nothing', 'crossing', 'pick'];

export const LANE_CLIENT_TYPES: readonly string[] = TYPES;

export function isLaneMessage<M extends { readonly type: string }>(
  message: M,
): message is Extract<M, { type: LaneClientType }> {
  return LANE_CLIENT_TYPES.includes(message.type);
}

export function writeLaneClientFields(message: LaneClientMessage): JsonObject {
  const { type } = message;
  const id = String(message.id);
  switch (message.type) {
    case 'open':
      return { id, model_name: message.model, parameters: { type, codec: message.codec } };
    case 'forward': {
      const { call, position, rows, want } = message;
      return {
        id,
        parameters: {
          type,
          call,
          ...message.span,
          position,
          rows,
          want,
          ...tokenList('tokens', message.tokens),
          ...(message.sampling === undefined ? {} : { sampling: writeSampling(message.sampling) }),
          ...tokenList('answer', message.answer),
          ...tokenList('drafts', message.drafts),
        },
      };
    }
    case 'loop': {
      const { call, position, maxTokens: max_tokens, drafts } = message;
      return {
        id,
        parameters: {
          type,
          call,
          position,
          max_tokens,
          sampling: writeSampling(message.sampling),
          ...tokenList('tokens', message.tokens),
          ...tokenList('answer', message.answer),
          ...tokenList('end_tokens', message.endTokens),
          ...(drafts === undefined ? {} : { drafts }),
          ...wantedWords(message.words),
        },
      };
    }
    case 'halt':
      return { id, parameters: { type, call: message.call } };
    case 'read-state': {
      const { call, span, from: first, to: end } = message;
      return { id, parameters: { type, call, ...span, first, end } };
    }
    case 'write-state':
      return {
        id,
        parameters: { type, call: message.call, ...message.span, first: message.from },
      };
  }
}

/** Throws `bad-frame` or `limit-exceeded`. */
export function readLaneClientFields(header: JsonObject, fields: JsonObject, id: number): LaneClientFields {
  const type = choiceField(fields.type, 'the type of a client message', TYPES);
  switch (type) {
    case 'open':
      return {
        type,
        id,
        model: textField(header.model_name, 'model name', limits.MAX_NAME_LENGTH),
        codec: choiceField(fields.codec, 'codec', CODECS),
      };
    case 'forward':
      return readForward(fields, id);
    case 'loop': {
      const tokens = tokensOf(fields.tokens, 'tokens of a loop', limits.MAX_ROWS_PER_FORWARD);
      if (tokens.length === 0) throw badFrame('a loop begins with at least one token');
      return {
        type,
        id,
        call: callOf(fields),
        position: countField(fields.position, 'position', limits.MAX_POSITIONS),
        tokens,
        sampling: readSampling(fields.sampling),
        answer: tokensOf(fields.answer, 'tokens of an answer', limits.MAX_PREFIX_TOKENS),
        endTokens: tokensOf(fields.end_tokens, 'tokens that end a loop', limits.MAX_END_TOKENS),
        maxTokens: countField(fields.max_tokens, 'tokens of a loop', limits.MAX_TOKENS_PER_REQUEST),
        ...optionalCount(fields.drafts, 'drafts', limits.MAX_DRAFTS),
        ...wantedWords(fields.words),
      };
    }
    case 'halt':
      return { type, id, call: callOf(fields) };
    case 'read-state': {
      const from = countField(fields.first, 'first position', limits.MAX_POSITIONS);
      const to = countField(fields.end, 'end of positions', limits.MAX_POSITIONS);
      if (to <= from) throw badFrame(`there are no positions in [${from}, ${to})`);
      return { type, id, call: callOf(fields), span: spanOf(fields), from, to };
    }
    case 'write-state': {
      const from = countField(fields.first, 'first position', limits.MAX_POSITIONS);
      return { type, id, call: callOf(fields), span: spanOf(fields), from };
    }
  }
}

function readForward(fields: JsonObject, id: number): Omit<ForwardMessage, 'tensors'> {
  const rows = countField(fields.rows, 'rows of a forward', limits.MAX_ROWS_PER_FORWARD);
  if (rows === 0) throw badFrame('a forward has at least one row');
  const want = choiceField(fields.want, 'what a forward wants', WANTS);
  const tokens = tokensOf(fields.tokens, 'tokens of a forward', limits.MAX_ROWS_PER_FORWARD);
  if (tokens.length > 0 && tokens.length !== rows) {
    throw badFrame(`${tokens.length} tokens do not make ${rows} rows`);
  }
  const drafts = tokensOf(fields.drafts, 'drafts', limits.MAX_DRAFTS);
  if (drafts.length >= rows)
    throw badFrame('every draft needs a row behind the first one that is picked from');
  if ((want === 'pick') !== (fields.sampling !== undefined)) {
    throw badFrame('sampling goes with a pick, and only with it');
  }
  return {
    type: 'forward',
    id,
    call: callOf(fields),
    span: spanOf(fields),
    position: countField(fields.position, 'position', limits.MAX_POSITIONS),
    rows,
    want,
    tokens,
    ...(want === 'pick' ? { sampling: readSampling(fields.sampling) } : {}),
    answer: tokensOf(fields.answer, 'tokens of an answer', limits.MAX_PREFIX_TOKENS),
    drafts,
  };
}

function callOf(fields: JsonObject): number {
  return countField(fields.call, 'call', limits.MAX_CALL);
}

function spanOf(fields: JsonObject): Span {
  const from = countField(fields.from, 'first block of a span', limits.MAX_BLOCKS);
  const to = countField(fields.to, 'end of a span', limits.MAX_BLOCKS);
  if (to <= from) throw badFrame(`[${from}, ${to}) is not a span`);
  return { from, to };
}

function writeSampling(sampling: Sampling): JsonObject {
  const { temperature, topK, topP, minP, repetitionPenalty, seed } = sampling;
  return {
    temperature,
    top_k: topK,
    top_p: topP,
    min_p: minP,
    repetition_penalty: repetitionPenalty,
    seed,
  };
}

function readSampling(value: unknown): Sampling {
  const fields = objectField(value, 'sampling');
  const repetitionPenalty = amountUpTo(
    fields.repetition_penalty,
    'repetition penalty',
    limits.MAX_SAMPLING_FACTOR,
  );
  if (repetitionPenalty === 0) throw badFrame('a repetition penalty divides, so it is not 0');
  return {
    temperature: amountUpTo(fields.temperature, 'temperature', limits.MAX_SAMPLING_FACTOR),
    topK: countField(fields.top_k, 'top k', limits.MAX_TOKEN_ID),
    topP: amountUpTo(fields.top_p, 'top p', 1),
    minP: amountUpTo(fields.min_p, 'min p', 1),
    repetitionPenalty,
    seed: countField(fields.seed, 'seed', Number.MAX_SAFE_INTEGER),
  };
}
