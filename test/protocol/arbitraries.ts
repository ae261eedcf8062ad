/** Arbitrary messages of the protocol, and what they are compared by. */
import fc from 'fast-check';
import type { Sampling } from '../../src/core/sampling.ts';
import type { Phase, PhaseTensors } from '../../src/core/span.ts';
import { CODECS, PHASES } from '../../src/core/span.ts';
import type { DType, Tensor } from '../../src/core/tensor.ts';
import { byteLengthOf, DTYPE_BYTES, makeTensor } from '../../src/core/tensor.ts';
import { ERROR_CODES, type ErrorCode } from '../../src/errors.ts';
import type { ForwardMessage } from '../../src/protocol/lane-messages.ts';
import { MAX_DRAFTS } from '../../src/protocol/limits.ts';
import type { ClientMessage, ServerMessage } from '../../src/protocol/messages.ts';

const dtypes = fc.constantFrom(...(Object.keys(DTYPE_BYTES) as DType[]));
const dims = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 });

export const tensors: fc.Arbitrary<Tensor> = fc.tuple(dtypes, dims).chain(([dtype, dims]) => {
  const length = byteLengthOf(dtype, dims);
  return fc
    .uint8Array({ minLength: length, maxLength: length, max: dtype === 'bool' ? 1 : 255 })
    .map((bytes) => makeTensor(dtype, dims, bytes));
});

const names = fc
  .string({ minLength: 1, maxLength: 20, unit: 'binary' })
  .filter((name) => name !== '__proto__');

const named = fc.dictionary(names, tensors, { maxKeys: 3, minKeys: 1 });

export const phaseTensors: fc.Arbitrary<PhaseTensors> = fc
  .uniqueArray(fc.tuple(fc.constantFrom(...PHASES), named), { selector: ([phase]) => phase, maxLength: 3 })
  .map((entries) => Object.fromEntries(entries) as { [phase in Phase]?: Record<string, Tensor> });

const ids = fc.nat(Number.MAX_SAFE_INTEGER);
const steps = fc.nat(1000);
const tokens = fc.array(fc.nat(2 ** 31 - 1), { maxLength: 5 });
const ms = fc.double({ min: 0, max: 1e6, noNaN: true }).map((value) => value + 0);
const timing = fc.record({ queueMs: ms, computeMs: ms });
const padding = fc.uint8Array({ maxLength: 40 });
const spans = fc
  .tuple(fc.nat(99), fc.integer({ min: 1, max: 99 }))
  .map(([from, n]) => ({ from, to: from + n }));

const calls = fc.nat(2 ** 31 - 1);
const positions = fc.nat(2 ** 20);
const share = fc.double({ min: 0, max: 1, noNaN: true }).map((value) => value + 0);

export const sampling: fc.Arbitrary<Sampling> = fc.record({
  temperature: ms,
  topK: fc.nat(2 ** 31 - 1),
  topP: share,
  minP: share,
  repetitionPenalty: fc.double({ min: Number.MIN_VALUE, max: 1e6, noNaN: true }),
  seed: fc.nat(Number.MAX_SAFE_INTEGER),
});

const forwards: fc.Arbitrary<ForwardMessage> = fc
  .tuple(
    fc.record({ id: ids, call: calls, span: spans, position: positions, answer: tokens, drafts: tokens }),
    fc.nat(9),
    fc.constantFrom('nothing' as const, 'crossing' as const, 'pick' as const),
    sampling,
    fc.oneof(phaseTensors, fc.constant(undefined)),
  )
  .map(([fields, more, want, sampling, tensors]) => {
    const rows = fields.drafts.length + 1 + more;
    return {
      type: 'forward',
      ...fields,
      rows,
      want,
      tokens: tensors === undefined ? Array.from({ length: rows }, (_, row) => row) : [],
      tensors: tensors ?? {},
      ...(want === 'pick' ? { sampling } : {}),
    };
  });

const wanted = fc.constantFrom({}, { words: true as const });

export const clientMessages: fc.Arbitrary<ClientMessage> = fc.oneof(
  fc
    .record({
      type: fc.constant('start' as const),
      id: ids,
      model: names,
      span: spans,
      tensors: phaseTensors,
      codec: fc.constantFrom(...CODECS),
      maxTokens: steps,
      prefix: tokens,
    })
    .chain((start) => wanted.map((words) => ({ ...start, ...words }))),
  fc.record({ type: fc.constant('step' as const), id: ids, step: steps, tensors: phaseTensors }),
  fc.record({ type: fc.constant('cancel' as const), id: ids }),
  fc.record({ type: fc.constant('ping' as const), id: ids, replyBytes: fc.nat(2 ** 20), padding }),
  fc.record({
    type: fc.constant('encode' as const),
    id: ids,
    model: names,
    text: fc.string({ minLength: 1, maxLength: 20, unit: 'binary' }),
    special: fc.boolean(),
  }),
  fc.record({
    type: fc.constant('open' as const),
    id: ids,
    model: names,
    codec: fc.constantFrom(...CODECS),
  }),
  forwards,
  fc
    .record({
      type: fc.constant('loop' as const),
      id: ids,
      call: calls,
      position: positions,
      tokens: fc.array(fc.nat(2 ** 31 - 1), { minLength: 1, maxLength: 5 }),
      sampling,
      answer: tokens,
      endTokens: tokens,
      maxTokens: steps,
    })
    .chain((loop) =>
      fc.option(fc.nat(MAX_DRAFTS)).map((drafts) => (drafts === null ? loop : { ...loop, drafts })),
    )
    .chain((loop) => wanted.map((words) => ({ ...loop, ...words }))),
  fc.record({ type: fc.constant('halt' as const), id: ids, call: calls }),
  fc
    .tuple(ids, calls, spans, positions, fc.integer({ min: 1, max: 99 }))
    .map(([id, call, span, from, rows]) => ({
      type: 'read-state' as const,
      id,
      call,
      span,
      from,
      to: from + rows,
    })),
  fc.record({
    type: fc.constant('write-state' as const),
    id: ids,
    call: calls,
    span: spans,
    from: positions,
    tensors: phaseTensors,
  }),
);

const segments = fc.dictionary(names, ms, { maxKeys: 3 });
const words = fc.record({
  decoder: fc.constantFrom(null, { type: 'ByteLevel' }, { type: 'Sequence', decoders: [{ type: 'Fuse' }] }),
  addedTokens: fc.array(fc.record({ id: fc.nat(9), content: fc.string() }), { maxLength: 2 }),
  texts: fc
    .array(fc.tuple(fc.nat(2 ** 31 - 1), fc.option(fc.string({ maxLength: 9 }))), { maxLength: 3 })
    .map((entries) => new Map(entries)),
});
const told = fc.double({ min: 0, max: 600_000, noNaN: true }).map((value) => value + 0);
const loads = fc.dictionary(
  names,
  fc.record({
    queueMs: told,
    paces: fc.array(fc.record({ segment: names, units: fc.nat(2 ** 31), ms: told }), { maxLength: 3 }),
  }),
  { maxKeys: 2 },
);

const codes = fc.constantFrom(...(Object.keys(ERROR_CODES) as ErrorCode[]));
const details = fc.dictionary(
  fc.string({ maxLength: 5 }).filter((key) => key !== '__proto__'),
  fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant(null), fc.array(fc.integer())),
);

export const serverMessages: fc.Arbitrary<ServerMessage> = fc.oneof(
  fc.record({
    type: fc.constant('hello' as const),
    protocol: fc.nat(),
    models: fc.array(names, { maxLength: 3 }),
  }),
  fc.record({
    type: fc.constant('hello' as const),
    protocol: fc.nat(),
    models: fc.array(names, { maxLength: 3 }),
    load: loads,
  }),
  fc.record(
    {
      type: fc.constant('tokens' as const),
      id: ids,
      step: steps,
      tokens,
      timing,
      segments,
      words,
      rows: fc.nat(999),
    },
    { requiredKeys: ['type', 'id', 'step', 'tokens', 'timing'] },
  ),
  fc.record(
    { type: fc.constant('output' as const), id: ids, step: steps, tensors: phaseTensors, timing, segments },
    { requiredKeys: ['type', 'id', 'step', 'tensors', 'timing'] },
  ),
  fc.record({
    type: fc.constant('done' as const),
    id: ids,
    reason: fc.constantFrom('eos' as const, 'max-tokens' as const, 'cancelled' as const, 'output' as const),
    timing,
    segments,
  }),
  fc.record({
    type: fc.constant('error' as const),
    id: fc.oneof(ids, fc.constant(-1)),
    error: fc.record(
      { code: codes, message: fc.string({ minLength: 1 }), details },
      { requiredKeys: ['code', 'message'] },
    ),
  }),
  fc.record(
    { type: fc.constant('pong' as const), id: ids, padding, load: loads },
    { requiredKeys: ['type', 'id', 'padding'] },
  ),
  fc.record({ type: fc.constant('encoded' as const), id: ids, tokens }),
  fc.record({
    type: fc.constant('forwarded' as const),
    id: ids,
    call: calls,
    tokens,
    tensors: phaseTensors,
    timing,
  }),
  fc.record(
    {
      type: fc.constant('looped' as const),
      id: ids,
      call: calls,
      reason: fc.constantFrom('end' as const, 'max-tokens' as const, 'stopped' as const),
      endToken: fc.nat(2 ** 31 - 1),
      drafted: fc.nat(9999),
      accepted: fc.nat(999),
      timing,
    },
    { requiredKeys: ['type', 'id', 'call', 'reason', 'timing'] },
  ),
);
