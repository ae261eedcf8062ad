/** One request in figures, whichever task it was. Pure. */

/** @param {{ tokens: readonly number[], report: object }} transcribed */
export function speechRun({ tokens, report }) {
  const { plan, totalMs, ttftMs, bytesUp, bytesDown, roundTrips, hedge } = report;
  const later = totalMs - ttftMs;
  return {
    plan: plan.id,
    totalMs,
    ttftMs,
    ...(tokens.length > 1 && later > 0 ? { tokensPerSecond: (1000 * (tokens.length - 1)) / later } : {}),
    bytesUp,
    bytesDown,
    roundTrips,
    predictedMs: plan.prediction.totalMs,
    isHedged: hedge !== undefined,
  };
}

/** @param {{ ms: number, usage: object, plans: readonly { plan: string, reason: string }[] }} answered */
export function textRun({ usage, plans }) {
  const { totalMs, ttftMs, tokensPerSecond, bytesUp, bytesDown, roundTrips } = usage;
  // A text says what it predicts for the whole only in words, and not when it starts where it speaks first.
  const said = plans[0]?.reason.match(/^predicted (\d+) ms/)?.[1];
  return {
    plan: plans.map(({ plan }) => plan).join(' then '),
    totalMs,
    ttftMs,
    tokensPerSecond,
    bytesUp,
    bytesDown,
    roundTrips,
    ...(said === undefined ? {} : { predictedMs: Number(said) }),
    isHedged: false,
  };
}
