/** What a lane refuses before it runs anything; pure. */
import type { Span } from '../core/span.ts';
import { IsthmusError } from '../errors.ts';
import { isReplacedByStep } from '../package/guesses.ts';
import type { LoopStage, Manifest } from '../package/manifest.ts';
import type { ForwardRequest, LaneInput, LoopRequest } from './lane.ts';
import { cannotStandAt } from './state-rows.ts';

export interface LoopPlace {
  /** Index of the loop stage in the manifest. */
  readonly index: number;
  readonly stage: LoopStage;
  /** Positions at most; infinite where the package does not say. */
  readonly contextLength: number;
}

/** The loop of a language model; `unsupported-model` where the loop listens to another stage, or is none. */
export function loopOf(manifest: Manifest): LoopPlace {
  for (const [index, stage] of manifest.stages.entries()) {
    if (stage.kind !== 'loop') continue;
    if (stage.graphs.init !== undefined || stage.context.length > 0) {
      throw new IsthmusError('unsupported-model', 'a decoder that reads another stage cannot run in a lane');
    }
    return { index, stage, contextLength: manifest.text?.contextLength ?? Infinity };
  }
  throw new IsthmusError('unsupported-model', 'a model without a token loop cannot run in a lane');
}

function refuse(what: string): never {
  throw new IsthmusError('bad-option', what);
}

export function checkSpan(stage: LoopStage, { from, to }: Span): void {
  const whole = Number.isInteger(from) && Number.isInteger(to);
  if (whole && from >= stage.from && from < to && to <= stage.to) return;
  refuse(`[${from}, ${to}) is no span of the loop's blocks [${stage.from}, ${stage.to})`);
}

export function checkPosition(position: number, filled: number): void {
  if (Number.isInteger(position) && position >= 0 && position <= filled) return;
  throw new IsthmusError('bad-option', `the state holds ${filled} positions, not ${position}`, {
    details: { filled, position },
  });
}

/** From 0 state that each step replaces can be made again. */
function checkRewind(stage: LoopStage, span: Span, position: number, filled: number): void {
  if (position === 0 || position === filled) return;
  for (const entry of stage.states) {
    if (entry.block < span.from || entry.block >= span.to) continue;
    if (isReplacedByStep(entry)) throw cannotStandAt(entry, filled, position);
  }
}

function checkRoom(position: number, rows: number, contextLength: number): void {
  if (!Number.isInteger(rows) || rows < 1) refuse(`${rows} rows cannot be run`);
  if (position + rows <= contextLength) return;
  throw new IsthmusError(
    'input-too-long',
    `the text needs ${position + rows} positions and the model has ${contextLength}`,
    { details: { needed: position + rows, contextLength } },
  );
}

function checkTokens(tokens: readonly number[], vocabulary: number): void {
  for (const token of tokens) {
    if (Number.isInteger(token) && token >= 0 && token < vocabulary) continue;
    throw new IsthmusError('bad-tensor', `${token} is not one of the model's ${vocabulary} tokens`);
  }
}

export function rowsOf(input: LaneInput): number {
  return input.kind === 'tokens' ? input.tokens.length : input.rows;
}

/** @param filled positions that every block of the request's span holds */
export function checkForward(request: ForwardRequest, place: LoopPlace, filled: number): void {
  const { span, position, input, want } = request;
  const { stage, contextLength } = place;
  checkSpan(stage, span);
  checkPosition(position, filled);
  checkRewind(stage, span, position, filled);
  const rows = rowsOf(input);
  checkRoom(position, rows, contextLength);
  const begins = span.from === stage.from;
  if (begins !== (input.kind === 'tokens')) {
    refuse(begins ? 'a span that begins the loop takes tokens' : 'a span inside the loop takes tensors');
  }
  if (input.kind === 'tokens') checkTokens(input.tokens, stage.vocabulary);
  const ends = span.to === stage.to;
  if (want.kind === 'crossing' && ends) refuse('nothing crosses at the end of the model');
  if ((want.kind === 'pick' || want.kind === 'scores') && !ends) {
    refuse('scores are made only at the end of the model');
  }
  const wanted = scoreRows(want);
  if (!Number.isInteger(wanted) || wanted < 0 || wanted > rows || (want.kind === 'scores' && wanted < 1)) {
    refuse(`scores of ${wanted} rows were asked for, of ${rows}`);
  }
}

/** Of the last rows, how many's scores are wanted. */
export function scoreRows(want: ForwardRequest['want']): number {
  if (want.kind === 'pick') return want.pick.drafts.length + 1;
  return want.kind === 'scores' ? want.rows : 0;
}

export function checkLoop(request: LoopRequest, place: LoopPlace, filled: number): void {
  const { position, tokens, answer, maxTokens } = request;
  checkPosition(position, filled);
  checkRewind(place.stage, place.stage, position, filled);
  checkRoom(position, tokens.length, place.contextLength);
  checkTokens(tokens, place.stage.vocabulary);
  // What was said may be guessed again.
  checkTokens(answer, place.stage.vocabulary);
  if (!Number.isInteger(maxTokens) || maxTokens < 0) refuse(`${maxTokens} is no number of tokens`);
}
