/** What a trip with drafts costs and brings: pure arithmetic (Leviathan et al. 2023, section 3). */

/** Of one trip, in ms, as measured. */
export interface TripTimes {
  readonly roundTripMs: number;
  /** For each row that passes, in the device's span and in the endpoint's. */
  readonly hereRowMs: number;
  readonly thereRowMs: number;
  /** At both ends together, however few rows there are. Default 0. */
  readonly passMs?: number;
}

/** Of a trip with `drafts` proposals: their rows and that of the token before them. */
export function tripMs(times: TripTimes, drafts: number): number {
  return times.roundTripMs + (times.passMs ?? 0) + (1 + drafts) * rowMs(times);
}

export function rowMs(times: TripTimes): number {
  return times.hereRowMs + times.thereRowMs;
}

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
export function bestDraftLength(times: TripTimes, acceptance: readonly number[]): number {
  let best = 0;
  let bestMs = Infinity;
  for (let drafts = 0; drafts <= acceptance.length; drafts += 1) {
    const ms = tripMs(times, drafts) / expectedTokens(acceptance, drafts);
    if (ms >= bestMs) continue;
    best = drafts;
    bestMs = ms;
  }
  return best;
}
