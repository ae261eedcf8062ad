/** How far a run is and how long it will take yet. */

const WIDTH = 24;
const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;

/**
 * @param {number} share of the work, 0..1
 * @param {number} elapsedMs
 * @returns {string} `[######------------------]  25%, about 3 min left`
 */
export function barOf(share, elapsedMs) {
  const filled = Math.round(share * WIDTH);
  const bar = `[${'#'.repeat(filled)}${'-'.repeat(WIDTH - filled)}]`;
  const percent = `${Math.round(100 * share)}%`.padStart(4);
  // A first figure would tell of the setup alone.
  const left = share > 0 ? `, about ${lengthOf((elapsedMs * (1 - share)) / share)} left` : '';
  return `${bar} ${percent}${left}`;
}

function lengthOf(ms) {
  if (ms < MINUTE_MS) return `${Math.ceil(ms / SECOND_MS)} s`;
  const minutes = Math.round(ms / MINUTE_MS);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/**
 * @param {number} total
 * @param {(line: string) => void} log for where no bar can be drawn
 * @param {NodeJS.WriteStream} stream
 */
export function openProgress(total, log, stream = process.stderr) {
  const started = performance.now();
  let done = 0;
  const show = (name) => {
    const line = `${barOf(total === 0 ? 1 : done / total, performance.now() - started)}  ${done + 1} of ${total}: ${name}`;
    if (stream.isTTY) stream.write(`\r\u001b[K${line.slice(0, (stream.columns ?? 120) - 1)}`);
    else log(line);
  };
  return {
    begin: show,
    end: () => {
      done += 1;
    },
    elapsedMs: () => performance.now() - started,
    close: () => {
      if (stream.isTTY) stream.write('\r\u001b[K');
    },
  };
}
