/** Frames about lanes: what is refused at either end, and what a codec may touch. */
import { describe, expect, test } from 'vitest';
import { GREEDY } from '../../src/core/sampling.ts';
import { float32Tensor } from '../../src/core/tensor.ts';
import {
  decodeClientMessage,
  decodeServerMessage,
  encodeClientMessage,
  encodeServerMessage,
} from '../../src/protocol/frame.ts';
import type { ForwardMessage, LoopMessage } from '../../src/protocol/lane-messages.ts';
import * as limits from '../../src/protocol/limits.ts';
import { failureOf } from './failure.ts';
import { frameOf, headerOf } from './frames-by-hand.ts';

const forward: ForwardMessage = {
  type: 'forward',
  id: 3,
  call: 0,
  span: { from: 1, to: 3 },
  position: 4,
  rows: 2,
  want: 'pick',
  tokens: [],
  tensors: {
    step: {
      hidden: float32Tensor(
        Float32Array.from({ length: 96 }, (_, i) => Math.sin(i)),
        [1, 2, 48],
      ),
    },
  },
  sampling: { ...GREEDY, temperature: 0.8, seed: Number.MAX_SAFE_INTEGER },
  answer: [5, 6],
  drafts: [7],
};
const loop: LoopMessage = {
  type: 'loop',
  id: 3,
  call: 1,
  position: 0,
  tokens: [1],
  sampling: GREEDY,
  answer: [],
  endTokens: [2],
  maxTokens: 9,
};

/** The message's frame, its parameters changed behind the writer's back. */
function spoilt(message: ForwardMessage | LoopMessage, over: object): Uint8Array {
  const header = headerOf(
    encodeClientMessage({ ...message, ...(message.type === 'loop' ? {} : { tensors: {} }) }),
  );
  const { parameters, ...rest } = header as { parameters: object };
  return frameOf({ ...rest, parameters: { ...parameters, ...over } });
}

const sampling = (over: object) => ({
  sampling: { temperature: 0, top_k: 0, top_p: 1, min_p: 0, repetition_penalty: 1, seed: 0, ...over },
});

test('the frames that these tests spoil are good', () => {
  expect(decodeClientMessage(encodeClientMessage(forward))).toEqual(forward);
  expect(decodeClientMessage(spoilt(forward, {})).type).toBe('forward');
  expect(decodeClientMessage(spoilt(loop, sampling({})))).toEqual(loop);
});

describe('refused', () => {
  test.each<[string, object, string]>([
    ['no call', { call: undefined }, 'bad-frame'],
    ['a call that is a text', { call: '1' }, 'bad-frame'],
    ['an empty span', { to: 1 }, 'bad-frame'],
    ['a negative position', { position: -1 }, 'bad-frame'],
    ['a position over the bound', { position: limits.MAX_POSITIONS + 1 }, 'limit-exceeded'],
    ['no rows', { rows: 0 }, 'bad-frame'],
    ['rows over the bound', { rows: limits.MAX_ROWS_PER_FORWARD + 1 }, 'limit-exceeded'],
    ['rows that are not the tokens', { tokens: [1, 2, 3] }, 'bad-frame'],
    ['drafts without rows', { drafts: [1, 2] }, 'bad-frame'],
    ['too many drafts', { rows: 1000, drafts: Array(257).fill(1) }, 'limit-exceeded'],
    ['a want of scores', { want: 'scores' }, 'bad-frame'],
    ['a pick without sampling', { sampling: undefined }, 'bad-frame'],
    ['sampling without a pick', { want: 'nothing' }, 'bad-frame'],
    ['a long answer', { answer: Array(limits.MAX_PREFIX_TOKENS + 1).fill(1) }, 'limit-exceeded'],
    ['a temperature of null', sampling({ temperature: null }), 'bad-frame'],
    ['a temperature without end', sampling({ temperature: 1e300 }), 'limit-exceeded'],
    ['a negative temperature', sampling({ temperature: -1 }), 'bad-frame'],
    ['a share above one', sampling({ top_p: 1.5 }), 'limit-exceeded'],
    ['a penalty of nothing', sampling({ repetition_penalty: 0 }), 'bad-frame'],
    ['a seed of a fraction', sampling({ seed: 0.5 }), 'bad-frame'],
    ['a seed that is not safe', sampling({ seed: 2 ** 53 }), 'bad-frame'],
    ['a top k of a text', sampling({ top_k: '1' }), 'bad-frame'],
  ])('forward: %s', (_, over, code) => {
    expect(failureOf(() => decodeClientMessage(spoilt(forward, over))).code).toBe(code);
  });

  test.each<[string, object, string]>([
    ['no tokens', { tokens: [] }, 'bad-frame'],
    ['a token over the bound', { tokens: [2 ** 31] }, 'limit-exceeded'],
    ['too many end tokens', { end_tokens: Array(257).fill(1) }, 'limit-exceeded'],
    ['too many guesses', { drafts: limits.MAX_DRAFTS + 1 }, 'limit-exceeded'],
    ['guesses that are a text', { drafts: '4' }, 'bad-frame'],
    ['too many tokens', { max_tokens: limits.MAX_TOKENS_PER_REQUEST + 1 }, 'limit-exceeded'],
    ['no sampling', { sampling: undefined }, 'bad-frame'],
  ])('loop: %s', (_, over, code) => {
    expect(failureOf(() => decodeClientMessage(spoilt(loop, over))).code).toBe(code);
  });

  test.each<[string, object, string]>([
    ['no positions', { type: 'read-state', call: 0, from: 0, to: 1, first: 4, end: 4 }, 'bad-frame'],
    [
      'an end over the bound',
      { type: 'read-state', call: 0, from: 0, to: 1, first: 4, end: 1e9 },
      'limit-exceeded',
    ],
    ['a halt of nothing', { type: 'halt' }, 'bad-frame'],
    ['an open without codec', { type: 'open' }, 'bad-frame'],
  ])('%s', (_, parameters, code) => {
    const frame = frameOf({ id: '1', model_name: 'm', parameters });
    expect(failureOf(() => decodeClientMessage(frame)).code).toBe(code);
  });

  test('more picks than drafts allow, and an end for no reason', () => {
    const timing = { queue_ms: 0, compute_ms: 0 };
    const tokens = Array(limits.MAX_DRAFTS + 2).fill(1);
    const code = (parameters: object): string =>
      failureOf(() => decodeServerMessage(frameOf({ id: '1', parameters: { ...timing, ...parameters } })))
        .code;
    expect(code({ type: 'forwarded', call: 0, tokens })).toBe('limit-exceeded');
    expect(code({ type: 'looped', call: 0, reason: 'eos' })).toBe('bad-frame');
    expect(code({ type: 'looped', call: 0, reason: 'end', end_token: -1 })).toBe('bad-frame');
  });

  test('by the sender what the receiver would refuse', () => {
    const code = (message: ForwardMessage | LoopMessage): string =>
      failureOf(() => encodeClientMessage(message)).code;
    expect(code({ ...loop, sampling: { ...GREEDY, temperature: Number.NaN } })).toBe('bad-frame');
    expect(code({ ...loop, sampling: { ...GREEDY, seed: Number.POSITIVE_INFINITY } })).toBe('bad-frame');
    expect(code({ ...forward, position: 0.5 })).toBe('bad-frame');
  });
});

describe('a codec', () => {
  const lossy = (phase: string, name: string) => phase === 'step' && name === 'hidden';
  const codecs = (frame: Uint8Array): number =>
    JSON.stringify(headerOf(frame)).match(/"codec":"int8"/g)?.length ?? 0;

  test('applies to what crosses, both ways', () => {
    expect(codecs(encodeClientMessage(forward, { codec: 'int8', lossy }))).toBe(1);
    const answer = {
      type: 'forwarded',
      id: 3,
      call: 0,
      tokens: [],
      tensors: forward.tensors,
      timing: { queueMs: 0, computeMs: 0 },
    } as const;
    expect(codecs(encodeServerMessage(answer, { codec: 'int8', lossy }))).toBe(1);
    expect(codecs(encodeServerMessage(answer))).toBe(0);
  });

  test('never touches state', () => {
    const state = {
      type: 'write-state',
      id: 3,
      call: 0,
      span: { from: 1, to: 2 },
      from: 0,
      tensors: forward.tensors,
    } as const;
    expect(codecs(encodeClientMessage(state, { codec: 'int8', lossy }))).toBe(0);
    expect(decodeClientMessage(encodeClientMessage(state, { codec: 'int8', lossy }))).toEqual(state);
  });
});

test('the longest prompt and answer fit the header', () => {
  const most = Array<number>(limits.MAX_ROWS_PER_FORWARD).fill(limits.MAX_TOKEN_ID);
  const drafts = most.slice(0, limits.MAX_DRAFTS);
  const message: ForwardMessage = {
    ...forward,
    rows: most.length,
    tokens: most,
    tensors: {},
    answer: most,
    drafts,
  };
  expect(decodeClientMessage(encodeClientMessage(message))).toEqual(message);
});
