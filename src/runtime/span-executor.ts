/** The executor over any runner; see `executor.ts` for the contract. */
import type { PhaseTensors, Segment, Span } from '../core/span.ts';
import { asFloat32, type TensorMap } from '../core/tensor.ts';
import { IsthmusError } from '../errors.ts';
import type { LoopStage, Manifest } from '../package/manifest.ts';
import { segmentPhase, segmentsOf, stageAt } from '../package/segments.ts';
import type { SpanExecution, SpanExecutor, StepOutput } from './executor.ts';
import type { LoadOptions, SpanRunner, StateId } from './runner.ts';
import { segmentKey } from './segment-key.ts';
import { tokenFeed } from './step-feeds.ts';

/** @throws IsthmusError `bad-option` for a span outside the model */
export function createExecutor(manifest: Manifest, span: Span, runner: SpanRunner): SpanExecutor {
  const segments = segmentsOf(manifest, span);
  return {
    manifest,
    span,
    load: async (options: LoadOptions = {}) => {
      for (const segment of segments) await runner.load(segment, options);
    },
    open: () => new Execution(manifest, span, segments, runner),
  };
}

class Execution implements SpanExecution {
  readonly segmentMs: Record<string, number> = {};
  readonly #manifest: Manifest;
  readonly #span: Span;
  readonly #segments: readonly Segment[];
  readonly #runner: SpanRunner;
  #state: StateId | undefined;
  /** Inputs of the loop that stay the same at each step. */
  #context: TensorMap = {};
  #closed = false;

  constructor(manifest: Manifest, span: Span, segments: readonly Segment[], runner: SpanRunner) {
    this.#manifest = manifest;
    this.#span = span;
    this.#segments = segments;
    this.#runner = runner;
  }

  async start(feeds: PhaseTensors, prefix: readonly number[] = []): Promise<StepOutput> {
    let once = feeds.once ?? {};
    for (const segment of this.#segments) {
      const stage = stageAt(this.#manifest, segment.stage);
      if (stage.kind === 'once') {
        once = await this.#run(segment, 'once', once);
        continue;
      }
      const crossed = await this.#init(segment, stage, once, feeds);
      const first = await this.#firstStep(segment, stage, feeds, prefix);
      if (first.kind !== 'crossing' || crossed === undefined) return first;
      return { kind: 'crossing', tensors: { ...first.tensors, init: crossed } };
    }
    return this.#span.to === this.#manifest.blocks.length
      ? { kind: 'outputs', tensors: once }
      : { kind: 'crossing', tensors: { once } };
  }

  async step(input: readonly number[] | TensorMap): Promise<StepOutput> {
    const { segment, stage } = this.#loop();
    const feeds = Array.isArray(input) ? tokenFeed(stage, input) : (input as TensorMap);
    return this.#step(segment, stage, feeds);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const state = this.#state;
    this.#state = undefined;
    if (state !== undefined) await this.#runner.closeState(state);
  }

  #loop(): { segment: Segment; stage: LoopStage } {
    for (const segment of this.#segments) {
      const stage = stageAt(this.#manifest, segment.stage);
      if (stage.kind === 'loop') return { segment, stage };
    }
    throw new IsthmusError('bad-option', 'this span has no loop to step');
  }

  /** Fills the read-only state; returns what of the context crosses the far cut. */
  async #init(
    segment: Segment,
    stage: LoopStage,
    once: TensorMap,
    feeds: PhaseTensors,
  ): Promise<TensorMap | undefined> {
    this.#state = await this.#runner.openState();
    if (segment.from === stage.from) {
      this.#context = Object.fromEntries(
        stage.context.map(({ input, output }) => {
          const tensor = once[output];
          if (tensor === undefined) {
            throw new IsthmusError('bad-tensor', `the loop needs '${output}' of the stage before it`);
          }
          return [input, tensor];
        }),
      );
    }
    if (stage.graphs.init === undefined) return undefined;
    const given = segment.from === stage.from ? this.#context : (feeds.init ?? {});
    return this.#run(segment, 'init', given);
  }

  async #firstStep(
    segment: Segment,
    stage: LoopStage,
    feeds: PhaseTensors,
    prefix: readonly number[],
  ): Promise<StepOutput> {
    if (segment.from !== stage.from) return this.#step(segment, stage, feeds.step ?? {});
    const bos = this.#manifest.generation?.bosToken;
    if (bos === undefined) {
      throw new IsthmusError('bad-package', 'the package does not say with which token generation begins');
    }
    let output = await this.#step(segment, stage, tokenFeed(stage, [bos]));
    // One token at a time, as they were first made: the same arithmetic, so the same state.
    for (const token of prefix) output = await this.#step(segment, stage, tokenFeed(stage, [token]));
    return output;
  }

  async #step(segment: Segment, stage: LoopStage, feeds: TensorMap): Promise<StepOutput> {
    const outputs = await this.#run(segment, 'step', { ...this.#context, ...feeds });
    if (segment.to < stage.to) return { kind: 'crossing', tensors: { step: outputs } };
    const logits = outputs[stage.logits];
    if (logits === undefined)
      throw new IsthmusError('run-failed', `the step did not yield '${stage.logits}'`);
    const scores = asFloat32(logits);
    return {
      kind: 'logits',
      logits: scores.subarray(scores.length - stage.vocabulary),
      vocabulary: stage.vocabulary,
    };
  }

  async #run(segment: Segment, phase: 'once' | 'init' | 'step', feeds: TensorMap): Promise<TensorMap> {
    if (this.#closed) throw new IsthmusError('closed', 'the execution was closed');
    const { results } = segmentPhase(this.#manifest, segment, phase);
    const { outputs, ms } = await this.#runner.run({
      segment,
      phase,
      feeds,
      fetches: results.map((result) => result.name),
      ...(this.#state === undefined ? {} : { state: this.#state }),
    });
    const key = `${segmentKey(segment)}:${phase}`;
    this.segmentMs[key] = (this.segmentMs[key] ?? 0) + ms;
    return outputs;
  }
}
