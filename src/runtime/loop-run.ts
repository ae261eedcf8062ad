/** A lane's token loop: pass by pass, each with the guesses that are expected to pay. */
import type { LoopStage } from '../package/manifest.ts';
import type { ForwardRequest, LoopOptions, LoopResult, TurnRequest } from './lane.ts';
import { type DrawToken, pickTokens } from './lane-pick.ts';
import type { Ran } from './lane-run.ts';
import type { LaneText } from './lane-text.ts';
import type { LoopDrafts } from './loop-drafts.ts';

export interface LoopParts {
  readonly stage: LoopStage;
  readonly text: LaneText;
  readonly drafts: LoopDrafts;
  readonly draw: DrawToken;
  /** `undefined` when the loop was stopped before the rows were all run. */
  readonly run: (step: ForwardRequest) => Promise<Ran | undefined>;
  /** Rows from there on are no part of the text. */
  readonly cut: (position: number) => void;
  readonly letOthersIn: () => Promise<void>;
}

/** @param request checked, with no more tokens than there is room for */
export async function runLoop(
  request: TurnRequest,
  options: LoopOptions,
  parts: LoopParts,
): Promise<LoopResult> {
  const { sampling, endTokens, maxTokens, maxPasses = Infinity } = request;
  const { stage, drafts: guesser } = parts;
  guesser.begin(request.drafts ?? 0, request.answer.length === 0);
  const tokens: number[] = [];
  let next = request.tokens;
  let position = request.position;
  const sums = { ms: 0, drafted: 0, accepted: 0 };
  for (let passes = 0; tokens.length < maxTokens; passes += 1) {
    if (passes >= maxPasses) return { tokens, reason: 'stopped', ...sums };
    const answer = [...request.answer, ...tokens];
    // Behind rows that have to be run anyway none is guessed: what a guess costs could not be told from them.
    const isStep = next.length === 1;
    const text = isStep ? [...parts.text.read(position, answer.slice(0, -1)), ...next] : [];
    const guesses = isStep ? guesser.propose(text, maxTokens - tokens.length - 1) : [];
    const pick = { sampling, answer, drafts: guesses };
    const step: ForwardRequest = {
      span: { from: stage.from, to: stage.to },
      position,
      input: { kind: 'tokens', tokens: [...next, ...guesses] },
      want: { kind: 'pick', pick },
    };
    position += next.length;
    let ran: Ran | undefined;
    try {
      ran = await parts.run(step);
    } finally {
      // Nobody has confirmed the guesses that some blocks may hold.
      if (ran === undefined) parts.cut(position);
    }
    if (ran === undefined) return { tokens, reason: 'stopped', ...sums };
    const picked = pickTokens(ran.scores, stage.vocabulary, pick, position, parts.draw);
    const accepted = picked.length - 1;
    if (isStep) guesser.learn({ drafted: guesses.length, accepted, ms: ran.ms });
    else guesser.learnRows(next.length, ran.ms);
    const end = picked.findIndex((token) => endTokens.includes(token));
    const made = end < 0 ? picked : picked.slice(0, end);
    sums.ms += ran.ms;
    sums.drafted += guesses.length;
    // Those behind the end are no part of the answer.
    sums.accepted += Math.min(accepted, made.length);
    position += end < 0 ? accepted : made.length;
    parts.cut(position);
    tokens.push(...made);
    if (made.length > 0) options.onPass({ tokens: made, rows: next.length + guesses.length, ms: ran.ms });
    if (end >= 0) return { tokens, reason: 'end', endToken: picked[end] ?? 0, ...sums };
    next = picked.slice(-1);
    await parts.letOthersIn();
  }
  return { tokens, reason: 'max-tokens', ...sums };
}
