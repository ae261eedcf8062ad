/** A model that is split once, run as one: what a client and an endpoint do together, without the link. */
import type { PhaseTensors } from '../core/span.ts';
import { IsthmusError } from '../errors.ts';
import type { SpanExecution, SpanExecutor, StepOutput } from '../runtime/executor.ts';

export class Pipeline {
  readonly #near: SpanExecution | undefined;
  readonly #far: SpanExecution;
  /** The near span holds the loop's start: each token goes through it. */
  #splitsLoop = false;

  constructor(near: SpanExecutor | undefined, far: SpanExecutor | undefined) {
    if (far === undefined) throw new IsthmusError('internal', 'a pipeline without a span');
    this.#near = near?.open();
    this.#far = far.open();
  }

  async start(feeds: PhaseTensors): Promise<StepOutput> {
    if (this.#near === undefined) return this.#far.start(feeds);
    const crossed = await this.#near.start(feeds);
    if (crossed.kind !== 'crossing') throw new IsthmusError('internal', 'the near span reached the end');
    this.#splitsLoop = crossed.tensors.step !== undefined;
    return this.#far.start(crossed.tensors);
  }

  async step(token: number): Promise<StepOutput> {
    if (this.#near === undefined || !this.#splitsLoop) return this.#far.step([token]);
    const crossed = await this.#near.step([token]);
    if (crossed.kind !== 'crossing') throw new IsthmusError('internal', 'the near span reached the end');
    return this.#far.step(crossed.tensors.step ?? {});
  }

  async close(): Promise<void> {
    await this.#near?.close();
    await this.#far.close();
  }
}
