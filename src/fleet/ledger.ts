/**
 * What this device has reported, so that it does not say more than it was asked for: one report a package and
 * month, a few in all, and to the same question with the same truth the same answer as before. Noise that was
 * drawn anew each time would average out. Kept on the device; what comes back from the store is not trusted.
 */
import { QUESTIONS } from './question.ts';

export const REPORT_INTERVAL_MS = 30 * 24 * 3_600_000;

/** Packages ask about the same device, so their epsilons add up: at most this many times in a month. */
export const MAX_REPORTS_A_MONTH = 4;

/** Some two years of reports; older answers are drawn anew. */
const MAX_ENTRIES = 100;

/** Longer is not ours. */
const MAX_LEDGER_CHARS = 64 * 1024;

const MAX_MODEL_CHARS = 512;

export interface LedgerEntry {
  /** SHA-256 of what identifies the package. */
  readonly model: string;
  /** Ms since the Unix epoch. */
  readonly at: number;
  readonly question: number;
  readonly truth: boolean;
  readonly said: boolean;
}

export type Ledger = readonly LedgerEntry[];

/** Entries that lie in the future, for a clock was set back, count as new: rather none than one too many. */
export function mayReport(ledger: Ledger, model: string, epochMs: number): boolean {
  const recent = ledger.filter(({ at }) => epochMs - at < REPORT_INTERVAL_MS);
  return recent.length < MAX_REPORTS_A_MONTH && recent.every((entry) => entry.model !== model);
}

/** What was said to this question before, under the same truth. */
export function saidBefore(
  ledger: Ledger,
  { model, question, truth }: Pick<LedgerEntry, 'model' | 'question' | 'truth'>,
): boolean | undefined {
  return ledger.find((one) => one.model === model && one.question === question && one.truth === truth)?.said;
}

export function withEntry(ledger: Ledger, entry: LedgerEntry): Ledger {
  return [...ledger, entry].slice(-MAX_ENTRIES);
}

/** As one text, for the store. */
export function serialiseLedger(ledger: Ledger): string {
  return JSON.stringify(ledger);
}

/** Nothing stored is an empty ledger; `undefined` where something is stored that cannot be read. Never throws. */
export function parseLedger(stored: unknown): Ledger | undefined {
  if (stored === undefined) return [];
  if (typeof stored !== 'string' || stored.length > MAX_LEDGER_CHARS) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(stored);
  } catch {
    return undefined;
  }
  return Array.isArray(value) && value.length <= MAX_ENTRIES && value.every(isEntry) ? value : undefined;
}

function isEntry(value: unknown): value is LedgerEntry {
  if (typeof value !== 'object' || value === null) return false;
  const { model, at, question, truth, said } = value as Partial<Record<keyof LedgerEntry, unknown>>;
  return (
    typeof model === 'string' &&
    model.length <= MAX_MODEL_CHARS &&
    typeof at === 'number' &&
    Number.isFinite(at) &&
    Number.isSafeInteger(question) &&
    Number(question) >= 0 &&
    Number(question) < QUESTIONS &&
    typeof truth === 'boolean' &&
    typeof said === 'boolean'
  );
}
