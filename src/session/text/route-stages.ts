/** A route's legs as the stages that a piece of the text passes, from measured paces and the link; pure. */
import type { Manifest } from '../../package/manifest.ts';
import type { LinkEstimate } from '../../planner/types.ts';
import { MESSAGE_BYTES, rowBytes, TOKEN_BYTES } from './crossing-bytes.ts';
import { bestPieces, DEFAULT_PIECE_ROWS, MIN_PIECE_ROWS, type Stage } from './overlap.ts';
import type { Pace } from './pace.ts';
import type { Leg, PlaceName } from './route.ts';

/** Of a call beside its rows: a hop between threads, a frame made and read. Measured 0.2 to 2 ms. */
const CALL_MS = 1;

export interface Measured {
  readonly manifest: Manifest;
  readonly paces: { readonly [place in PlaceName]: Pace };
  readonly link: LinkEstimate;
}

/**
 * Of a leg that runs so many rows: an endpoint's has what comes up before it and what goes down behind it. Of the
 * last leg a token goes down, of another all rows.
 *
 * @param isBeside other legs are at work meanwhile
 */
export function stagesOf(
  { manifest, paces, link }: Measured,
  leg: Leg,
  rows: number,
  isBeside: boolean,
): readonly Stage[] {
  const { place, span } = leg;
  const run: Stage = {
    on: place,
    ms: isBeside ? paces[place].besideMs(span, rows) : paces[place].ms(span, rows),
    againMs: paces[place].callMs(span) + CALL_MS,
  };
  if (place === 'device') return [run];
  const { upBytesPerSecond, downBytesPerSecond } = link;
  const up = rows * (span.from === 0 ? TOKEN_BYTES : rowBytes(manifest, span.from));
  const isLast = span.to === manifest.blocks.length;
  const down = isLast ? TOKEN_BYTES : rows * rowBytes(manifest, span.to);
  return [stage('up', up, upBytesPerSecond), run, stage('down', down, downBytesPerSecond)];
}

/** Whether a call with so many rows was a piece of a prompt, with other pieces at work elsewhere: on a cut those with enough rows. */
export function isPiece(rows: number, isCut: boolean): boolean {
  return isCut && rows >= MIN_PIECE_ROWS;
}

/** In how many pieces so many rows should pass these legs, whose stages these are. */
export function piecesOf(
  paces: Measured['paces'],
  legs: readonly Leg[],
  stages: readonly Stage[],
  rows: number,
): number {
  if (legs.length < 2) return 1;
  const isKnown = legs.every(({ place }) => paces[place].isMeasured);
  return isKnown ? bestPieces(stages, rows) : Math.max(1, Math.ceil(rows / DEFAULT_PIECE_ROWS));
}

function stage(on: 'up' | 'down', bytes: number, bytesPerSecond: number): Stage {
  return {
    on,
    ms: ((bytes + MESSAGE_BYTES) / bytesPerSecond) * 1000,
    againMs: (MESSAGE_BYTES / bytesPerSecond) * 1000,
  };
}
