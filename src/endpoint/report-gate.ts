/** How many reports an address may send. Addresses are held as keys of counters, in memory, until the first report after an hour. */
import { IsthmusError } from '../errors.ts';

const WINDOW_MS = 3_600_000;

/** A household or an office behind one address opens a page for the first time this often, and no more. */
export const MAX_REPORTS_PER_ADDRESS = 60;

/** Each takes some hundred bytes. When there are more, all are made to wait for the next hour. */
export const MAX_COUNTED_ADDRESSES = 16_384;

export class ReportGate {
  readonly #counts = new Map<string, number>();
  #since = -Infinity;

  /** Throws `limit-exceeded`. */
  pass(address: string, epochMs: number): void {
    if (Math.abs(epochMs - this.#since) >= WINDOW_MS) {
      this.#counts.clear();
      this.#since = epochMs;
    }
    const key = networkOf(address);
    const count = this.#counts.get(key) ?? 0;
    if (count >= MAX_REPORTS_PER_ADDRESS) throw tooMany('reports of one address', MAX_REPORTS_PER_ADDRESS);
    if (count === 0 && this.#counts.size >= MAX_COUNTED_ADDRESSES) {
      throw tooMany('addresses that report', MAX_COUNTED_ADDRESSES);
    }
    this.#counts.set(key, count + 1);
  }
}

/** Whoever has one IPv6 address has the 2^64 beside it. */
function networkOf(address: string): string {
  if (!address.includes(':') || address.includes('.')) return address;
  const [head = '', tail] = address.split('::', 2);
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length);
  return [...left, ...Array.from({ length: zeros }, () => '0'), ...right].slice(0, 4).join(':');
}

function tooMany(what: string, limit: number): IsthmusError {
  return new IsthmusError('limit-exceeded', `${limit} ${what} within an hour; try again later`, {
    details: { what, limit },
  });
}
