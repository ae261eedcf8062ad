/** A lane over a span runner in the same place; see `lane.ts` for the contract. */
import type { Segment, Span } from '../core/span.ts';
import type { TensorMap } from '../core/tensor.ts';
import { IsthmusError, isIsthmusError, throwIfAborted } from '../errors.ts';
import { ignoreGone } from './ignore-gone.ts';
import { InTurn } from './in-turn.ts';
import type { ForwardRequest, ForwardResult, Lane, LoopOptions, LoopResult, TurnRequest } from './lane.ts';
import {
  checkForward,
  checkLoop,
  checkPosition,
  checkSpan,
  type LoopPlace,
  loopOf,
  rowsOf,
} from './lane-check.ts';
import { FilledBlocks } from './lane-filled.ts';
import { type DrawToken, pickTokens } from './lane-pick.ts';
import { stateRows } from './lane-rows.ts';
import { type Ran, RowRunner, type RowRunnerOptions } from './lane-run.ts';
import { LaneText } from './lane-text.ts';
import { LoopDrafts } from './loop-drafts.ts';
import { runLoop } from './loop-run.ts';
import type { StateId } from './runner.ts';
import { pickToken } from './sample.ts';

type Signal = { readonly signal?: AbortSignal };

export interface LaneOptions extends RowRunnerOptions {
  /**
   * Segments that are loaded now, asked before each run. Without it every span that is run must itself be
   * loaded as one segment.
   */
  readonly loaded?: () => readonly Segment[];
  /** Draws tokens; default `pickToken`. */
  readonly draw?: DrawToken;
  /**
   * Awaited between the passes of a loop and the pieces of a long prompt. Where runs hold their thread and
   * promises never let go of it (WASM), this is where a message that stops the work gets its turn.
   */
  readonly letOthersIn?: () => Promise<void>;
  /** Rows that run at once at most; default `PREFILL_ROWS`. */
  readonly chunkRows?: number;
}

/** A lane that can tell what each block holds, for a proxy across a boundary, and that takes turns. */
export interface LocalLane extends Lane {
  loop(request: TurnRequest, options: LoopOptions): Promise<LoopResult>;
  /** Positions held, one number for each block of the loop. */
  filledBlocks(): readonly number[];
}

/** Takes memory when it first runs. Throws `unsupported-model` for a package without a text loop. */
export function createLane(options: LaneOptions): LocalLane {
  return new RunnerLane(options, loopOf(options.manifest));
}

class RunnerLane implements LocalLane {
  readonly #options: LaneOptions;
  readonly #place: LoopPlace;
  readonly #draw: DrawToken;
  readonly #filled: FilledBlocks;
  readonly #rows: RowRunner;
  readonly #text = new LaneText();
  readonly #drafts: LoopDrafts;
  readonly #turn = new InTurn();
  #state: StateId | undefined;
  #closed = false;

  constructor(options: LaneOptions, place: LoopPlace) {
    this.#options = options;
    this.#place = place;
    this.#draw = options.draw ?? pickToken;
    this.#filled = FilledBlocks.ofStage(place.stage);
    this.#drafts = new LoopDrafts(place.stage);
    this.#rows = new RowRunner(options, place, this.#filled);
  }

  forward(request: ForwardRequest, options: Signal = {}): Promise<ForwardResult> {
    return this.#inTurn(async () => {
      throwIfAborted(options.signal);
      const { span, position, input, want } = request;
      checkForward(request, this.#place, this.#filled.reach(span));
      const { tensors, scores, ms } = await this.#run(request, options);
      if (want.kind !== 'pick') {
        return { tokens: [], tensors, ...(want.kind === 'scores' ? { scores } : {}), ms };
      }
      const rows = rowsOf(input);
      const { drafts } = want.pick;
      const first = position + rows - drafts.length;
      const tokens = pickTokens(scores, this.#place.stage.vocabulary, want.pick, first, this.#draw);
      // Rows of proposals that were not confirmed are no part of the text.
      this.#cut(span, first + tokens.length - 1);
      return { tokens, tensors: {}, ms };
    });
  }

  loop(request: TurnRequest, options: LoopOptions): Promise<LoopResult> {
    return this.#inTurn(async () => {
      const { stage, contextLength } = this.#place;
      checkLoop(request, this.#place, this.#filled.reach(stage));
      const room = contextLength - request.position - request.tokens.length;
      const maxTokens = Math.min(request.maxTokens, room);
      return runLoop({ ...request, maxTokens }, options, {
        stage,
        text: this.#text,
        drafts: this.#drafts,
        draw: this.#draw,
        run: (step) => this.#unlessStopped(step, options),
        cut: (position) => this.#cut(stage, position),
        letOthersIn: this.#options.letOthersIn ?? (async () => undefined),
      });
    });
  }

  filled(span: Span): number {
    return this.#filled.of(span);
  }

  filledBlocks(): readonly number[] {
    return this.#filled.list();
  }

  readState(span: Span, from: number, to: number): Promise<TensorMap> {
    return this.#inTurn(async () => {
      checkSpan(this.#place.stage, span);
      checkPosition(to, this.#filled.reach(span));
      checkPosition(from, to);
      const { runner } = this.#options;
      if (runner.readState === undefined) throw outOfReach();
      return runner.readState(await this.#openState(), { stage: this.#place.index, ...span }, from, to);
    });
  }

  writeState(span: Span, from: number, tensors: TensorMap): Promise<void> {
    return this.#inTurn(async () => {
      const { stage, index, contextLength } = this.#place;
      checkSpan(stage, span);
      checkPosition(from, this.#filled.reach(span));
      const rows = stateRows(stage.states, span, tensors);
      if (from + rows > contextLength) {
        throw new IsthmusError('input-too-long', `${from + rows} positions are more than ${contextLength}`);
      }
      const { runner } = this.#options;
      if (runner.writeState === undefined) throw outOfReach();
      const state = await this.#openState();
      this.#cut(span, from);
      await runner.writeState(state, { stage: index, ...span }, from, tensors);
      this.#filled.set(span, from + rows);
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    // Behind the call under way, which ends at its next piece or pass.
    await this.#turn.do(async () => {
      const state = this.#state;
      this.#state = undefined;
      this.#filled.set(this.#place.stage, 0);
      if (state === undefined) return;
      await this.#options.runner.closeState(state).catch(ignoreGone);
    });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    return this.#turn.do(() => {
      this.#checkOpen();
      return work();
    });
  }

  #checkOpen(): void {
    if (this.#closed) throw new IsthmusError('closed', 'the lane was closed');
  }

  #cut(span: Span, position: number): void {
    this.#filled.cut(span, position);
    if (span.from === this.#place.stage.from) this.#text.cut(position);
  }

  async #run(request: ForwardRequest, options: Signal): Promise<Ran> {
    const { span, position, input } = request;
    if (span.from === this.#place.stage.from) {
      this.#text.put(position, input.kind === 'tokens' ? input.tokens : []);
    }
    return this.#rows.run(request, await this.#openState(), { ...options, goOn: () => this.#checkOpen() });
  }

  async #openState(): Promise<StateId> {
    this.#state ??= await this.#options.runner.openState();
    return this.#state;
  }

  /** `undefined` when the signal fired before the rows were all run. */
  async #unlessStopped(request: ForwardRequest, options: Signal): Promise<Ran | undefined> {
    if (options.signal?.aborted) return undefined;
    try {
      return await this.#run(request, options);
    } catch (error) {
      if (options.signal?.aborted && isIsthmusError(error) && error.code === 'aborted') return undefined;
      throw error;
    }
  }
}

function outOfReach(): IsthmusError {
  return new IsthmusError('unsupported-model', 'the state of this runner cannot be read or written');
}
