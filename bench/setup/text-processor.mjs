/**
 * Processor time of a page's process with its workers, on Linux. On a busy machine a clock on the wall tells
 * mostly of the others; on one thread, processor time is what the wall clock would say if there were none.
 */
import { processorMs } from './processor-time.mjs';

/** Long enough to stand out among processes that have nothing to do. */
const BUSY_MS = 300;

const SAMPLE_MS = 20;

/** Finds the process of a page: the one that becomes busy when the page does. */
export async function findProcess(browser, page) {
  const session = await browser.newBrowserCDPSession();
  const times = async () => {
    const { processInfo } = await session.send('SystemInfo.getProcessInfo');
    // Read from /proc like the samples: what the browser tells of processor time lags behind.
    return new Map(
      processInfo.filter(({ type }) => type === 'renderer').map(({ id }) => [id, processorMs(id) ?? 0]),
    );
  };
  const before = await times();
  await page.evaluate((ms) => {
    const end = performance.now() + ms;
    while (performance.now() < end);
  }, BUSY_MS);
  const grown = [...(await times())].map(([id, time]) => ({ id, by: time - (before.get(id) ?? time) }));
  await session.detach();
  return grown.reduce((most, one) => (one.by > most.by ? one : most)).id;
}

/** Notes the time of a process until stopped; then answers for any two moments, in ms of `Date.now()`. */
export function watchProcess(pid) {
  const samples = [];
  const sample = () => {
    const spent = processorMs(pid);
    if (spent !== undefined) samples.push({ at: Date.now(), spent });
  };
  sample();
  const timer = setInterval(sample, SAMPLE_MS);
  return {
    stop: () => {
      clearInterval(timer);
      sample();
    },
    /** @returns {number | undefined} */
    between: (from, to) => {
      const [start, end] = [spentAt(samples, from), spentAt(samples, to)];
      return start === undefined || end === undefined ? undefined : end - start;
    },
  };
}

function spentAt(samples, moment) {
  const index = samples.findIndex(({ at }) => at >= moment);
  if (index <= 0) return samples.at(index)?.spent;
  const [before, after] = [samples[index - 1], samples[index]];
  const share = (moment - before.at) / (after.at - before.at);
  return before.spent + share * (after.spent - before.spent);
}
