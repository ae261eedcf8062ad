/** The span runner on our own kernels, for text models that `compile.ts` can read; see `runner.ts`. */
import type { Clock } from '../../core/clock.ts';
import type { Segment } from '../../core/span.ts';
import type { Tensor, TensorMap } from '../../core/tensor.ts';
import { IsthmusError } from '../../errors.ts';
import type { ModelGraph } from '../../graph/model-graph.ts';
import type { LoopStage, Manifest } from '../../package/manifest.ts';
import { segmentGraph } from '../../package/segment-graph.ts';
import { statesOf } from '../../package/segments.ts';
import type {
  ExecutionProvider,
  LoadOptions,
  PackageSource,
  RunRequest,
  RunResult,
  SegmentRunner,
  StateId,
} from '../runner.ts';
import { segmentKey } from '../segment-key.ts';
import { SegmentShelf } from '../segment-shelf.ts';
import { stateTensors } from '../state-rows.ts';
import { compileRows } from './compile.ts';
import { intFeed } from './feeds.ts';
import type { KernelPlace } from './place.ts';
import type { AttentionLayer } from './program.ts';
import { writeOperations } from './run-block.ts';
import { LoadedSpan, programBytes, rowsOfFeed, weightsOf } from './span.ts';
import { checkLength, PagedState, type StateShape } from './state.ts';

export interface RowsRunnerOptions {
  readonly manifest: Manifest;
  readonly source: PackageSource;
  /** The stage's step graph; `rows-support.ts` has said that the kernels can run it. */
  readonly graph: ModelGraph;
  readonly stage: LoopStage;
  readonly layers: readonly AttentionLayer[];
  /** Positions of the model at most. */
  readonly positions: number;
  readonly place: KernelPlace;
  readonly provider: ExecutionProvider;
  readonly clock: Clock;
}

export class RowsRunner implements SegmentRunner {
  readonly provider: ExecutionProvider;
  readonly #options: RowsRunnerOptions;
  readonly #place: KernelPlace;
  readonly #shape: StateShape;
  readonly #spans: SegmentShelf<LoadedSpan>;
  readonly #states = new Map<StateId, PagedState>();
  /** Spans whose operations have addresses in the scratch as it lies now. */
  readonly #linked = new Set<LoadedSpan>();
  #nextState = 1;
  #closed = false;

  constructor(options: RowsRunnerOptions) {
    this.#options = options;
    this.#place = options.place;
    this.provider = options.provider;
    this.#shape = {
      layers: new Map(options.layers.map((layer, index) => [layer.pastKey, { ...layer, index }])),
      positions: options.positions,
      pagePositions: options.place.kernels.pagePositions,
    };
    this.#spans = new SegmentShelf({
      build: (segment, load) => this.#build(segment, load),
      release: async (span) => this.#release(span),
      checkOpen: () => this.#checkOpen(),
    });
  }

  get threads(): number {
    return this.#place.threads;
  }

  loaded(): readonly Segment[] {
    return this.#spans.ready();
  }

  load(segment: Segment, options: LoadOptions = {}): Promise<void> {
    return this.#spans.load(segment, options);
  }

  unload(segment: Segment): Promise<void> {
    return this.#spans.unload(segment);
  }

  async openState(): Promise<StateId> {
    this.#checkOpen();
    const id = this.#nextState;
    this.#nextState += 1;
    this.#states.set(id, new PagedState(this.#place.memory, this.#place.heap, this.#shape));
    return id;
  }

  async closeState(id: StateId): Promise<void> {
    this.#states.get(id)?.close();
    this.#states.delete(id);
  }

  async readState(id: StateId, segment: Segment, from: number, to: number): Promise<TensorMap> {
    const state = this.#state(id);
    const entries = statesOf(this.#options.stage, segment);
    return Object.fromEntries(entries.map((entry) => [entry.input, state.read(entry, from, to)]));
  }

  async writeState(id: StateId, segment: Segment, from: number, tensors: TensorMap): Promise<void> {
    const state = this.#state(id);
    const given = stateTensors(statesOf(this.#options.stage, segment), tensors);
    for (const [entry, tensor] of given) state.write(entry, from, tensor);
  }

  async run(request: RunRequest): Promise<RunResult> {
    this.#checkOpen();
    const { segment, feeds, fetches } = request;
    const span = await this.#spans.get(segment);
    this.#checkOpen();
    if (span === undefined || request.phase !== 'step') {
      const key = segmentKey(segment);
      throw new IsthmusError('run-failed', `segment ${key} is not loaded for '${request.phase}'`);
    }
    const outputs: Record<string, Tensor> = {};
    for (const name of fetches) {
      const passed = feeds[name];
      if (span.program.outputs.has(name)) continue;
      if (passed === undefined) throw new IsthmusError('bad-tensor', `the segment does not yield '${name}'`);
      outputs[name] = passed;
    }
    const { made, ms } = this.#runSpan(span, request);
    return { outputs: { ...outputs, ...made }, ms };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const id of [...this.#states.keys()]) await this.closeState(id);
    await this.#spans.clear();
    this.#place.close();
  }

  #checkOpen(): void {
    if (this.#closed) throw new IsthmusError('closed', 'the runner was closed');
  }

  #state(id: StateId | undefined): PagedState {
    this.#checkOpen();
    const state = id === undefined ? undefined : this.#states.get(id);
    if (state !== undefined) return state;
    throw new IsthmusError('unknown-session', `there is no state ${id ?? '(none given)'}`);
  }

  /** Runs do not let go of their thread: nothing else happens meanwhile. */
  #runSpan(span: LoadedSpan, request: RunRequest): { readonly made: TensorMap; readonly ms: number } {
    const { stage, clock, positions } = this.#options;
    const { program } = span;
    const { segment, feeds, at, fetches } = request;
    const entries = statesOf(stage, segment);
    const tokens = program.tokens === undefined ? [] : intFeed(program.tokens, feeds, program.vocabulary);
    const rows = at?.rows ?? rowsGiven(span, feeds, tokens.length);
    const position = at?.position ?? 0;
    if (program.tokens !== undefined && tokens.length !== rows) {
      throw new IsthmusError('bad-tensor', `${tokens.length} tokens for ${rows} rows`);
    }
    const picked = program.picked === undefined ? [] : intFeed(program.picked, feeds, rows);
    const inputs = new Map(
      [...program.inputs].map(([name, input]) => [name, rowsOfFeed(name, feeds, input, rows)]),
    );
    if (entries.length > 0) {
      if (at === undefined) {
        throw new IsthmusError('bad-option', 'the state needs to know where its rows stand');
      }
      checkLength(position + rows, positions);
      const state = this.#state(request.state);
      state.check(entries, position);
      state.reach(span.layers, position + rows);
      state.hold(entries, position);
      this.#place.needPositions(position + rows, Math.max(1, ...span.layers.map(({ group }) => group)));
      this.#place.useTables(state.tables, state.tableBytes);
    }
    this.#link(span);
    const started = clock.now();
    const made = span.run(this.#place, { rows, position, tokens, picked, inputs, fetches });
    if (entries.length > 0) this.#state(request.state).hold(entries, position + rows);
    return { made, ms: clock.now() - started };
  }

  async #build(segment: Segment, options: LoadOptions): Promise<LoadedSpan> {
    const { manifest, stage, graph, source } = this.#options;
    const { model } = segmentGraph(manifest, graph, segment, 'step');
    const program = compileRows(model, stage);
    if ('refused' in program) {
      throw new IsthmusError('run-failed', `segment ${segmentKey(segment)}: ${program.refused}`);
    }
    const weights = weightsOf(program);
    await this.#place.weights.hold(weights, (path) => source.read(path, options));
    try {
      return new LoadedSpan(program, this.#place.heap.take(programBytes(program)));
    } catch (error) {
      this.#place.weights.release(weights);
      throw error;
    }
  }

  #release(span: LoadedSpan): void {
    this.#linked.delete(span);
    this.#place.weights.release(weightsOf(span.program));
    this.#place.heap.give(span.at);
  }

  /** Writes a span's operations where that was not done yet, or their intermediates have moved. */
  #link(span: LoadedSpan): void {
    if (this.#place.needScratch(span.layout.bytes)) this.#linked.clear();
    if (this.#linked.has(span)) return;
    const { list, meets } = span.operations;
    const addresses = span.addresses(this.#place.scratch(), {
      weight: (use) => this.#place.weights.addressOf(use),
      layer: (name) => this.#shape.layers.get(name)?.index ?? 0,
    });
    writeOperations(this.#place.memory, span.at, list, addresses, meets);
    this.#linked.add(span);
  }
}

/** Rows of a run that does not say: as many as came in. */
function rowsGiven(span: LoadedSpan, feeds: TensorMap, tokens: number): number {
  for (const name of span.program.inputs.keys()) return feeds[name]?.dims[1] ?? 0;
  return tokens;
}
