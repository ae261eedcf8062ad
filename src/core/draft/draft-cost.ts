/** What a trip with drafts costs and brings: pure arithmetic (Leviathan et al. 2023, section 3). */

/** Ms of a trip or pass with so many proposals: their rows and that of the token before them. */
export type TripCost = (drafts: number) => number;

/**
 * Tokens that a trip with `drafts` proposals is expected to bring, with `acceptance[i]` the chance that
 * proposal `i` is right when all before it were.
 */
export function expectedTokens(acceptance: readonly number[], drafts: number): number {
  let all = 1;
  let tokens = 1;
  for (let at = 0; at < drafts; at += 1) {
    all *= acceptance[at] ?? 0;
    tokens += all;
  }
  return tokens;
}

/** The number of proposals, up to `acceptance.length`, with the least time per token; the least such. */
export function bestDraftLength(cost: TripCost, acceptance: readonly number[]): number {
  let best = 0;
  let bestMs = Infinity;
  for (let drafts = 0; drafts <= acceptance.length; drafts += 1) {
    const ms = cost(drafts) / expectedTokens(acceptance, drafts);
    if (ms >= bestMs) continue;
    best = drafts;
    bestMs = ms;
  }
  return best;
}
