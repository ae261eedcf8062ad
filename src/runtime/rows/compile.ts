/**
 * From a span's graph to operations of the kernels. They do what `build-llama.ts` writes and nothing else; a graph
 * with any other operator, form or width is refused, and another runtime takes it. Pure.
 */
import type { OnnxModel, OnnxNode, OnnxValue } from '../../graph/onnx-types.ts';
import type { LoopStage } from '../../package/manifest.ts';
import { floatOf, intOf } from './attributes.ts';
import type { Program, Rows } from './program.ts';
import { PADDING_ROWS, readAttention, readConcat, readSlice } from './read-attention.ts';
import { finishEmbedding, looked, readLooked, readLookedScales } from './read-embedding.ts';
import {
  finishProduct,
  readAbs,
  readDiv,
  readMax,
  readProduct,
  readQuantize,
  readReduceMax,
} from './read-products.ts';
import {
  finishGate,
  finishScale,
  readCast,
  readGather,
  readGelu,
  readMatMul,
  readReshape,
  readSplit,
  readTranspose,
  readUnsqueeze,
} from './read-shapes.ts';
import { floats, isPlain, NotForKernels, Reading, refuse } from './reading.ts';

const FLOAT32 = 1;

/** Operators of onnxruntime's own domain; the others are ONNX's, or registered as such. */
const ORT_DOMAIN = 'com.microsoft';
const ORT_OPERATORS: ReadonlySet<string> = new Set([
  'GroupQueryAttention',
  'MatMulIntegerToFloat',
  'QuickGelu',
  'SkipSimplifiedLayerNormalization',
]);

type ReadNode = (reading: Reading, node: OnnxNode) => void;

const READERS: Readonly<Record<string, ReadNode>> = {
  Abs: readAbs,
  Add: readAdd,
  Cast: readCast,
  Concat: readConcat,
  Div: readDiv,
  Gather: readGather,
  GroupQueryAttention: readAttention,
  MatMul: readMatMul,
  MatMulIntegerToFloat: readProduct,
  Max: readMax,
  Mul: readMul,
  QuantizeLinear: readQuantize,
  QuickGelu: readGelu,
  ReduceMax: readReduceMax,
  Reshape: readReshape,
  SimplifiedLayerNormalization: readNorm,
  SkipSimplifiedLayerNormalization: readSkipNorm,
  Slice: readSlice,
  Split: readSplit,
  Transpose: readTranspose,
  Unsqueeze: readUnsqueeze,
};

/**
 * @param model a span's graph as `composeSegment` makes it
 * @returns why not, where the kernels cannot run it
 */
export function compileRows(model: OnnxModel, stage: LoopStage): Program | { readonly refused: string } {
  try {
    return compile(model, stage);
  } catch (error) {
    if (error instanceof NotForKernels) return { refused: error.message };
    throw error;
  }
}

function compile({ graph }: OnnxModel, stage: LoopStage): Program {
  const reading = new Reading();
  const inputs = new Map<string, Rows>();
  for (const tensor of graph.initializers) reading.values.set(tensor.name, { is: 'constant', tensor });
  for (const value of graph.inputs) {
    const rows = readInput(reading, stage, value);
    if (rows !== undefined) inputs.set(value.name, rows);
  }
  for (const node of graph.nodes) {
    const domain = ORT_OPERATORS.has(node.opType) ? ORT_DOMAIN : '';
    if (node.domain !== domain && !(domain === '' && node.domain === 'ai.onnx')) {
      refuse(node, `of the domain '${node.domain}'`);
    }
    const read = READERS[node.opType] ?? refuse(node, 'no kernel does it');
    read(reading, node);
  }
  const presents = new Set(stage.states.map(({ output }) => output));
  const outputs = new Map<string, Rows & { readonly picked: boolean }>();
  for (const { name } of graph.outputs) {
    if (presents.has(name)) continue;
    const value = reading.values.get(name);
    const codes = looked(reading, value);
    if (codes !== undefined) outputs.set(name, { ...codes, picked: false });
    else if (value?.is === 'rows' && isPlain(value) && !reading.turned.has(value.buffer.id)) {
      const { buffer, width, dtype, part } = value;
      outputs.set(name, { buffer, width, dtype, picked: part === 'head' });
    } else throw new NotForKernels(`the result '${name}' is no rows`);
  }
  const named = (kind: 'tokens' | 'picked'): string | undefined =>
    graph.inputs.find(({ name }) => reading.values.get(name)?.is === kind)?.name;
  return {
    body: reading.body,
    head: reading.head,
    inputs,
    outputs,
    tokens: named('tokens'),
    picked: named('picked'),
    layers: reading.layers,
    ...(reading.vocabulary === undefined ? {} : { vocabulary: reading.vocabulary }),
    ...(reading.positions === undefined ? {} : { positions: reading.positions }),
  };
}

/** Rows for what crossed at the near cut; the rest is given a meaning. */
function readInput(reading: Reading, stage: LoopStage, value: OnnxValue): Rows | undefined {
  const { name } = value;
  const feed = stage.feeds.find(({ input }) => input === name);
  const state = stage.states.find(({ input }) => input === name);
  if (name === stage.tokenInput.name) reading.values.set(name, { is: 'tokens' });
  else if (feed?.kind === 'picked') reading.values.set(name, { is: 'picked' });
  else if (feed !== undefined) reading.values.set(name, { is: 'place', kind: feed.kind, plus: 0 });
  else if (state !== undefined) {
    if (state.growth !== 'shared' || state.dtype !== 'float32' || state.axis !== 2) {
      throw new NotForKernels(`the state '${name}' is of another kind`);
    }
    reading.values.set(name, { is: 'state', name, output: state.output });
  } else {
    const codes = readLooked(reading, value);
    if (codes !== undefined) return codes;
    const width = value.dims?.at(-1);
    const isRows = value.elemType === FLOAT32 && value.dims?.length === 3;
    if (isRows && typeof width === 'number' && width % 4 === 0) {
      const rows = reading.rows(width, 'body');
      reading.values.set(name, rows);
      return rows;
    }
    const scales = isRows && typeof width !== 'number' ? readLookedScales(reading, value) : undefined;
    return scales ?? failInput(name);
  }
  return undefined;
}

function failInput(name: string): never {
  throw new NotForKernels(`the input '${name}' is no rows`);
}

/** Rows and rows, or rows and a vector for each; or positions, which the kernels know. */
function readAdd(reading: Reading, node: OnnxNode): void {
  const [a, b] = [reading.get(node, 0), reading.get(node, 1)];
  if (a.is === 'place') {
    const plus = reading.scalar(node, 1);
    if (plus !== PADDING_ROWS) refuse(node, `adds ${plus} to a position`);
    reading.set(node, { ...a, plus: a.plus + plus });
    return;
  }
  const left = reading.plain(node, 0);
  const out = reading.rows(left.width, left.part);
  const [to, from] = [{ buffer: out.buffer }, { buffer: left.buffer }];
  if (b.is === 'constant') {
    reading.emit(left.part, 'shift', [to, from, floats(node, b.tensor, [left.width]), { int: left.width }]);
  } else {
    const right = reading.plain(node, 1);
    if (right.width !== left.width || right.part !== left.part) refuse(node, 'of rows that do not fit');
    reading.emit(left.part, 'add', [to, from, { buffer: right.buffer }, { int: left.width }]);
  }
  reading.set(node, out);
}

const FINISHERS = [finishProduct, finishEmbedding, finishGate, finishScale];

function readMul(reading: Reading, node: OnnxNode): void {
  const [a, b] = [reading.get(node, 0), reading.get(node, 1)];
  if (!FINISHERS.some((finish) => finish(reading, node, a, b))) refuse(node, 'of values that do not fit');
}

function readNorm(reading: Reading, node: OnnxNode): void {
  const rows = reading.plain(node, 0);
  if (![undefined, -1, 2].includes(intOf(node, 'axis'))) refuse(node, 'not along a row');
  reading.set(node, emitNorm(reading, node, rows, 1));
}

function readSkipNorm(reading: Reading, node: OnnxNode): void {
  const [left, right] = [reading.plain(node, 0), reading.plain(node, 1)];
  if (right.width !== left.width || right.part !== left.part) refuse(node, 'of rows that do not fit');
  if ((node.inputs[3] ?? '') !== '' || (node.outputs[1] ?? '') !== '' || (node.outputs[2] ?? '') !== '') {
    refuse(node, 'has a bias or other results');
  }
  const sum = reading.rows(left.width, left.part);
  const args = [{ buffer: sum.buffer }, { buffer: left.buffer }, { buffer: right.buffer }];
  reading.emit(left.part, 'add', [...args, { int: left.width }]);
  reading.set(node, emitNorm(reading, node, sum, 2));
  reading.set(node, sum, 3);
}

function emitNorm(reading: Reading, node: OnnxNode, rows: ReturnType<Reading['rows']>, gainAt: number) {
  const out = reading.rows(rows.width, rows.part);
  reading.emit(rows.part, 'norm', [
    { buffer: out.buffer },
    { buffer: rows.buffer },
    floats(node, reading.constant(node, gainAt), [rows.width]),
    { int: rows.width },
    // The operators' own defaults.
    { float: floatOf(node, 'epsilon') ?? (gainAt === 1 ? 1e-5 : 1e-12) },
  ]);
  return out;
}
