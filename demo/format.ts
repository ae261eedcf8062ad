/** Numbers as a person reads them. Pure. */

/** `87 ms`, `1.24 s`. */
export function milliseconds(ms: number): string {
  if (!Number.isFinite(ms)) return '–';
  return ms < 999.5 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(ms < 9995 ? 2 : 1)} s`;
}

const UNITS = ['B', 'kB', 'MB', 'GB'];

/** Decimal units, as networks count: `312 B`, `4.1 kB`, `28 MB`. */
export function bytes(count: number): string {
  let value = count;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 9.95 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

/** How far a measurement was from its prediction: `12% over`, `as predicted`. */
export function deviation(predicted: number, measured: number): string {
  if (!(predicted > 0)) return '';
  const percent = Math.round((measured / predicted - 1) * 100);
  if (Math.abs(percent) < 3) return 'as predicted';
  return percent > 0 ? `${percent}% over` : `${-percent}% under`;
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
