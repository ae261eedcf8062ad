/**
 * What a place really takes for rows of a text. Unlike the planner's own `Pace` it knows that a call has a cost of
 * its own, that attention looks at all that came before, that a table of embeddings is read a row at a time, and
 * that the last block scores only rows that are asked for.
 */
import type { Span } from '../../core/span.ts';
import type { Manifest } from '../../package/manifest.ts';
import type { Random } from '../random.ts';

/** How unlike the manifest's sizes blocks are in truth. */
const BLOCK_DEVIATION = 0.15;

/** Of the work that its bytes stand for, what a look-up takes. */
const LOOKUP_SHARE = 0.01;

export interface PlaceShape {
  /** Ms of one row through the whole model behind an empty context. */
  readonly stepMs: number;
  /** How much less each further row of a call takes. */
  readonly prefillGain: number;
  /** Of a step, what 1,000 positions of context add. */
  readonly contextShare: number;
  /** Ms of a call, however few rows it has. */
  readonly callMs: number;
}

export class PlaceTruth {
  readonly #shape: PlaceShape;
  /** Sums over blocks `0..k-1`: of a step, and of the part of attention that grows. */
  readonly #work: readonly number[];
  readonly #attention: readonly number[];
  readonly #head: number;
  readonly #blocks: number;

  constructor(manifest: Manifest, shape: PlaceShape, random: Random) {
    const [stage] = manifest.stages;
    const holds = new Set(stage?.kind === 'loop' ? stage.states.map(({ block }) => block) : []);
    const last = manifest.blocks.length - 1;
    const own = manifest.blocks.map(({ index, weightBytes }) => {
      const isLookup = index === 0 && holds.size > 0 && !holds.has(0);
      return Math.max(1, weightBytes) * (isLookup ? LOOKUP_SHARE : 1) * random.factor(BLOCK_DEVIATION);
    });
    const all = own.reduce((sum, one) => sum + one, 0);
    this.#shape = shape;
    this.#work = sums(own.map((one) => (one / all) * shape.stepMs));
    const isAttending = manifest.blocks.map(({ index }) => (holds.size === 0 || holds.has(index) ? 1 : 0));
    const attending = isAttending.reduce<number>((sum, one) => sum + one, 0);
    const perPosition = (shape.stepMs * shape.contextShare) / 1000;
    this.#attention = sums(isAttending.map((one) => (one * perPosition) / attending));
    this.#head = holds.size > 0 && !holds.has(last) ? ((own[last] ?? 0) / all) * shape.stepMs : 0;
    this.#blocks = manifest.blocks.length;
  }

  /**
   * Ms of one call.
   * @param context positions before its first row
   * @param picks rows whose scores are wanted
   */
  call(span: Span, rows: number, context: number, picks: number, factor: number): number {
    const head = span.to === this.#blocks && span.from < this.#blocks ? this.#head : 0;
    const first = between(this.#work, span) - head;
    const more = 1 + (rows - 1) / this.#shape.prefillGain;
    const attention = between(this.#attention, span) * rows * (context + (rows - 1) / 2);
    const scores = picks === 0 ? 0 : head * (1 + (picks - 1) / this.#shape.prefillGain);
    return this.#shape.callMs + factor * (first * more + attention / this.#shape.prefillGain ** 0.5 + scores);
  }
}

function sums(values: readonly number[]): readonly number[] {
  const all = [0];
  for (const value of values) all.push((all.at(-1) ?? 0) + value);
  return all;
}

function between(upTo: readonly number[], { from, to }: Span): number {
  return (upTo[to] ?? 0) - (upTo[from] ?? 0);
}
