/** Reads what a manifest says of a stage, and the pieces that other parts of it are made of, too. */
import { DTYPE_BYTES, type DType, MAX_RANK } from '../core/tensor.ts';
import type { JsonReader } from './json-reader.ts';
import type { Affine, FeedKind, GraphInput, Stage, StateEntry, StepFeed } from './manifest.ts';
import { MAX_BLOCKS, MAX_NAME_LENGTH, MAX_PATH_LENGTH, MAX_TENSORS } from './manifest-limits.ts';

const DTYPES = Object.keys(DTYPE_BYTES) as DType[];
const GROWTHS: readonly StateEntry['growth'][] = ['append', 'shared', 'replace'];
const FEED_KINDS: readonly FeedKind[] = [
  'positions',
  'mask',
  'past',
  'total',
  'last',
  'picked',
  'picked-count',
];

export function pathOf(reader: JsonReader): string {
  return reader.name(MAX_PATH_LENGTH);
}

export function nameOf(reader: JsonReader): string {
  return reader.name(MAX_NAME_LENGTH);
}

export function affine(reader: JsonReader): Affine {
  return { base: reader.field('base').finite(), perUnit: reader.field('perUnit').finite() };
}

function dims(reader: JsonReader): (number | null)[] {
  return reader.items('dimensions', MAX_RANK).map((dim) => (dim.value === null ? null : dim.integer(0)));
}

export function graphInput(reader: JsonReader): GraphInput {
  return {
    name: nameOf(reader.field('name')),
    dtype: reader.field('dtype').oneOf(DTYPES),
    dims: dims(reader.field('dims')),
  };
}

function graphInputs(reader: JsonReader): GraphInput[] {
  return reader.items('tensors', MAX_TENSORS).map(graphInput);
}

export function readStage(reader: JsonReader): Stage {
  const kind = reader.field('kind').oneOf(['once', 'loop']);
  const name = nameOf(reader.field('name'));
  const from = reader.field('from').integer(0, MAX_BLOCKS);
  const to = reader.field('to').integer(0, MAX_BLOCKS);
  const graphs = reader.field('graphs');
  if (kind === 'once') {
    const extent = reader.field('extent');
    return {
      kind,
      name,
      from,
      to,
      graphs: { once: pathOf(graphs.field('once')) },
      inputs: graphInputs(reader.field('inputs')),
      outputs: graphInputs(reader.field('outputs')),
      extent: { input: nameOf(extent.field('input')), axis: extent.field('axis').integer(0, MAX_RANK - 1) },
      rows: affine(reader.field('rows')),
    };
  }
  const init = graphs.optional('init');
  return {
    kind,
    name,
    from,
    to,
    graphs: { ...(init && { init: pathOf(init) }), step: pathOf(graphs.field('step')) },
    tokenInput: graphInput(reader.field('tokenInput')),
    logits: nameOf(reader.field('logits')),
    context: reader
      .field('context')
      .items('tensors', MAX_TENSORS)
      .map((entry) => ({ input: nameOf(entry.field('input')), output: nameOf(entry.field('output')) })),
    states: reader.field('states').items('tensors', MAX_TENSORS).map(readState),
    feeds: reader.field('feeds').items('tensors', MAX_TENSORS).map(readFeed),
    vocabulary: reader.field('vocabulary').integer(1),
  };
}

function readState(reader: JsonReader): StateEntry {
  const axis = reader.optional('axis');
  return {
    input: nameOf(reader.field('input')),
    output: nameOf(reader.field('output')),
    origin: reader.field('origin').oneOf(['init', 'step']),
    dtype: reader.field('dtype').oneOf(DTYPES),
    dims: dims(reader.field('dims')),
    block: reader.field('block').integer(0, MAX_BLOCKS),
    growth: reader.field('growth').oneOf(GROWTHS),
    ...(axis && { axis: axis.integer(0, MAX_RANK - 1) }),
  };
}

function readFeed(reader: JsonReader): StepFeed {
  return {
    input: nameOf(reader.field('input')),
    kind: reader.field('kind').oneOf(FEED_KINDS),
    dtype: reader.field('dtype').oneOf(DTYPES),
    rank: reader.field('rank').integer(0, MAX_RANK),
  };
}
