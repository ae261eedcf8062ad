import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Ledger,
  type LedgerEntry,
  MAX_REPORTS_A_MONTH,
  mayReport,
  parseLedger,
  REPORT_INTERVAL_MS,
  saidBefore,
  serialiseLedger,
  withEntry,
} from '../../src/fleet/ledger.ts';

const entry: LedgerEntry = { model: 'm', at: 1000, question: 4, truth: true, said: false };
const held = (...entries: Partial<LedgerEntry>[]): Ledger => entries.map((one) => ({ ...entry, ...one }));

describe('the ledger of reports', () => {
  it('allows one a package and month', () => {
    expect(mayReport([], 'm', 0)).toBe(true);
    expect(mayReport(held({}), 'm', 1000 + REPORT_INTERVAL_MS - 1)).toBe(false);
    expect(mayReport(held({}), 'm', 1000 + REPORT_INTERVAL_MS)).toBe(true);
    expect(mayReport(held({}), 'other', 1001)).toBe(true);
  });

  it('allows a few in all, and none that a clock set back would give', () => {
    const full = Array.from({ length: MAX_REPORTS_A_MONTH }, (_, index) => ({ model: `${index}` }));
    expect(mayReport(held(...full), 'm', 1001)).toBe(false);
    expect(mayReport(held({ at: 10 * REPORT_INTERVAL_MS }), 'm', 0)).toBe(false);
  });

  it('remembers what was said to the same question under the same truth', () => {
    const ledger = held({});
    expect(saidBefore(ledger, entry)).toBe(false);
    expect(saidBefore(ledger, { ...entry, truth: false })).toBeUndefined();
    expect(saidBefore(ledger, { ...entry, question: 5 })).toBeUndefined();
  });

  it('stays bounded, and comes back from its text', () => {
    let ledger: Ledger = [];
    for (let at = 0; at < 300; at += 1) ledger = withEntry(ledger, { ...entry, at });
    expect(ledger).toHaveLength(100);
    expect(ledger.at(-1)?.at).toBe(299);
    expect(parseLedger(serialiseLedger(ledger))).toEqual(ledger);
  });

  it('that cannot be read is not taken for an empty one', () => {
    expect(parseLedger(undefined)).toEqual([]);
    const bad = fc.anything().filter((value) => value !== undefined && value !== '[]');
    fc.assert(
      fc.property(bad, (value) => {
        expect(parseLedger(value)).toBeUndefined();
      }),
    );
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const parsed = parseLedger(JSON.stringify([value]));
        expect(parsed).toBeUndefined();
      }),
    );
  });
});
