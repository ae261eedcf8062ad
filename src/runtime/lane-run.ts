/** Running rows through a span, in pieces of bounded size and over whatever segments are loaded. */
import type { Segment, Span } from '../core/span.ts';
import { asFloat32, type TensorMap } from '../core/tensor.ts';
import { IsthmusError, throwIfAborted } from '../errors.ts';
import type { Manifest } from '../package/manifest.ts';
import { crossingAtCut, segmentPhase } from '../package/segments.ts';
import type { ForwardRequest, LaneInput } from './lane.ts';
import { type LoopPlace, rowsOf, scoreRows } from './lane-check.ts';
import { coverSegment } from './lane-cover.ts';
import type { FilledBlocks } from './lane-filled.ts';
import { cutRows, joinPieces } from './lane-rows.ts';
import type { SpanRunner, StateId } from './runner.ts';
import { stepFeeds, tokenFeed } from './step-feeds.ts';

/**
 * Rows that run at once at most. Bounds the memory of activations (each row of a layer's scores is as long
 * as the context) and the time until an abort is heard, and is enough to use every core.
 */
export const PREFILL_ROWS = 128;

export interface RowRunnerOptions {
  readonly manifest: Manifest;
  readonly runner: SpanRunner;
  readonly loaded?: () => readonly Segment[];
  readonly chunkRows?: number;
  readonly letOthersIn?: () => Promise<void>;
}

export interface Ran {
  readonly tensors: TensorMap;
  /** Of the rows wanted, `[rows, vocabulary]`; empty when none were. */
  readonly scores: Float32Array;
  readonly ms: number;
}

/** Keeps the book of what each block holds up to date, also when a run fails half way. */
export class RowRunner {
  readonly #options: RowRunnerOptions;
  readonly #place: LoopPlace;
  readonly #filled: FilledBlocks;

  constructor(options: RowRunnerOptions, place: LoopPlace, filled: FilledBlocks) {
    this.#options = options;
    this.#place = place;
    this.#filled = filled;
  }

  /**
   * The request has been checked. Each row's results are the same in any piece.
   * @param goOn called before each piece and each segment of it; what it throws ends the run
   */
  async run(
    request: ForwardRequest,
    state: StateId,
    options: { readonly signal?: AbortSignal; readonly goOn: () => void },
  ): Promise<Ran> {
    const { span, input, want } = request;
    const { chunkRows = PREFILL_ROWS, manifest } = this.#options;
    const rows = rowsOf(input);
    const wanted = scoreRows(want);
    const pieces: TensorMap[] = [];
    const scores: Float32Array[] = [];
    let ms = 0;
    for (let from = 0; from < rows; from += chunkRows) {
      if (from > 0) {
        await this.#options.letOthersIn?.();
        throwIfAborted(options.signal);
      }
      const to = Math.min(from + chunkRows, rows);
      const picked = Math.max(0, Math.min(to - from, to - (rows - wanted)));
      const piece = this.#cutInput(span, input, from, to);
      const ran = await this.#runPiece({
        span,
        state,
        position: request.position + from,
        rows: to - from,
        input: piece,
        hasCrossing: want.kind === 'crossing',
        picked,
        goOn: options.goOn,
      });
      ms += ran.ms;
      if (want.kind === 'crossing') pieces.push(ran.tensors);
      if (picked > 0) scores.push(ran.scores);
    }
    const declared = crossingAtCut(manifest, span.to, 'step')?.sent ?? [];
    return { tensors: joinPieces(pieces, declared, chunkRows), scores: joinScores(scores), ms };
  }

  #cutInput(span: Span, input: LaneInput, from: number, to: number): TensorMap {
    if (input.kind === 'tokens') return tokenFeed(this.#place.stage, input.tokens.slice(from, to));
    const declared = crossingAtCut(this.#options.manifest, span.from, 'step')?.sent ?? [];
    return cutRows(input.tensors, declared, input.rows, from, to);
  }

  async #runPiece(piece: Piece): Promise<Ran> {
    const { span, state, position, rows, picked } = piece;
    const { manifest, runner, loaded } = this.#options;
    const { stage, index } = this.#place;
    const whole: Segment = { stage: index, from: span.from, to: span.to };
    const chain = loaded === undefined ? [whole] : coverSegment(whole, loaded());
    // Heads made for one row at least: where no scores are wanted, the last row's are left there.
    const feeds = stepFeeds(stage, { position, rows, picked: Math.max(picked, 1) });
    let carried = piece.input;
    let ms = 0;
    for (const segment of chain) {
      piece.goOn();
      const needed = segment.to < span.to || piece.hasCrossing || picked > 0;
      const results = needed ? segmentPhase(manifest, segment, 'step').results : [];
      this.#filled.cut(segment, position);
      const ran = await runner.run({
        segment,
        phase: 'step',
        feeds: { ...feeds, ...carried },
        fetches: results.map(({ name }) => name),
        state,
        at: { position, rows },
      });
      this.#filled.set(segment, position + rows);
      ms += ran.ms;
      carried = ran.outputs;
    }
    if (picked === 0) return { tensors: carried, scores: new Float32Array(), ms };
    const logits = carried[stage.logits];
    if (logits === undefined) {
      throw new IsthmusError('run-failed', `the step did not yield '${stage.logits}'`);
    }
    const scores = asFloat32(logits);
    // Graphs without `picked` score all rows.
    return { tensors: {}, scores: scores.subarray(scores.length - picked * stage.vocabulary), ms };
  }
}

interface Piece {
  readonly span: Span;
  readonly state: StateId;
  readonly position: number;
  readonly rows: number;
  readonly input: TensorMap;
  readonly hasCrossing: boolean;
  /** How many of the last rows' scores are wanted. */
  readonly picked: number;
  readonly goOn: () => void;
}

function joinScores(parts: readonly Float32Array[]): Float32Array {
  const [first = new Float32Array()] = parts;
  if (parts.length <= 1) return first;
  const joined = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
