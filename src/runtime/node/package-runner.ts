/** Which runtime runs a package in Node: our kernels for the text models that they know, else onnxruntime-node. */
import type { Segment } from '../../core/span.ts';
import type { TensorMap } from '../../core/tensor.ts';
import { IsthmusError } from '../../errors.ts';
import type { Manifest } from '../../package/manifest.ts';
import { startNodeThread } from '../rows/node/start-thread.ts';
import { openRowsRunner } from '../rows/open-rows.ts';
import { rowsSupport } from '../rows/rows-support.ts';
import type {
  ExecutionProvider,
  LoadOptions,
  PackageSource,
  RunRequest,
  RunResult,
  SegmentRunner,
  StateId,
} from '../runner.ts';
import { createNodeRunner } from './ort-node.ts';

export interface PackageRunnerOptions {
  /** Threads of a run, default 1. */
  readonly threads?: number;
}

/**
 * A text model that our kernels know runs on them at both ends of a link, so that both make the same bits: a
 * text that moves in mid-answer goes on as if it had not. onnxruntime's native kernels round otherwise in the
 * last place, which now and then changes a token.
 */
export function createPackageRunner(
  manifest: Manifest,
  source: PackageSource,
  { threads = 1 }: PackageRunnerOptions = {},
): SegmentRunner {
  if (manifest.text === undefined) return createNodeRunner(manifest, source, { threads });
  return new ChosenRunner(threads, async () => {
    const support = await rowsSupport(manifest, source);
    if ('refused' in support) return createNodeRunner(manifest, source, { threads });
    return openRowsRunner(manifest, source, support, { threads, startThread: startNodeThread });
  });
}

/** Stands for a runner that is chosen when something is first asked of it: that takes reading the graph. */
class ChosenRunner implements SegmentRunner {
  readonly provider: ExecutionProvider = 'cpu';
  readonly threads: number;
  readonly #choose: () => Promise<SegmentRunner>;
  #choosing: Promise<SegmentRunner> | undefined;
  #chosen: SegmentRunner | undefined;
  #closed = false;

  constructor(threads: number, choose: () => Promise<SegmentRunner>) {
    this.threads = threads;
    this.#choose = choose;
  }

  loaded(): readonly Segment[] {
    return this.#chosen?.loaded() ?? [];
  }

  async load(segment: Segment, options?: LoadOptions): Promise<void> {
    await (await this.#runner()).load(segment, options);
  }

  async unload(segment: Segment): Promise<void> {
    await this.#chosen?.unload(segment);
  }

  async openState(): Promise<StateId> {
    return (await this.#runner()).openState();
  }

  async closeState(state: StateId): Promise<void> {
    await this.#chosen?.closeState(state);
  }

  async readState(state: StateId, segment: Segment, from: number, to: number): Promise<TensorMap> {
    return (await this.#runner()).readState(state, segment, from, to);
  }

  async writeState(state: StateId, segment: Segment, from: number, tensors: TensorMap): Promise<void> {
    return (await this.#runner()).writeState(state, segment, from, tensors);
  }

  async run(request: RunRequest): Promise<RunResult> {
    return (await this.#runner()).run(request);
  }

  async close(): Promise<void> {
    this.#closed = true;
    const runner = this.#chosen ?? (await this.#choosing?.catch(() => undefined));
    await runner?.close();
  }

  /** A choice that failed is made again when something is asked again. */
  #runner(): Promise<SegmentRunner> {
    if (this.#closed) throw new IsthmusError('closed', 'the runner was closed');
    if (this.#choosing === undefined) {
      const choosing = this.#choose();
      this.#choosing = choosing;
      choosing.then(
        (runner) => {
          this.#chosen = runner;
        },
        () => {
          this.#choosing = undefined;
        },
      );
    }
    return this.#choosing;
  }
}
