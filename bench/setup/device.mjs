/** A browser as a device: with threads for the models, and where asked a share of a core for all of it. */
import { launchChromium } from './chromium.mjs';
import { holdTree } from './cpu-quota.mjs';
import { startProcessorClock } from './processor-time.mjs';

/** A browser that spends less than `IDLE_MS` of its processor time in `LOOK_MS` rests. */
const LOOK_MS = 100;
const IDLE_MS = 20;
const MAX_REST_MS = 3000;

/**
 * @param {{ threads: number, cores?: number }} device
 * @param {{ isHeld?: boolean }} options `isHeld`: the share can be set later on, by `limit`
 * @returns {Promise<{ reason: string } | { browser: import('playwright-core').Browser, threads: number,
 *   limit: (cores?: number) => void, clock: () => () => number | undefined, rest: () => Promise<void>,
 *   openPage: Function, close: () => Promise<void> }>} `reason`: why there can be no such device here; `rest`: until
 *   the browser has nothing to do
 */
export async function openDevice({ threads, cores }, { isHeld = cores !== undefined } = {}) {
  const browser = await launchChromium();
  const pid = await processOf(browser);
  const quota = isHeld ? holdTree(pid) : undefined;
  if (quota?.reason !== undefined) {
    await browser.close();
    return { reason: quota.reason };
  }
  quota?.set(cores);
  return {
    browser,
    threads,
    limit: (share) => quota.set(share),
    clock: () => startProcessorClock(pid),
    rest: () => rest(pid),
    openPage: (url, recordings) => openPage(browser, url, recordings),
    close: async () => {
      await browser.close();
      quota?.release();
    },
  };
}

async function processOf(browser) {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  await session.detach();
  return processInfo.find(({ type }) => type === 'browser').id;
}

/** A plan that lost a race goes on for a while in its worker, and would be in the next run's time. */
async function rest(pid) {
  const deadline = performance.now() + MAX_REST_MS;
  while (performance.now() < deadline) {
    const spent = startProcessorClock(pid);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    if ((spent() ?? 0) <= IDLE_MS) return;
  }
}

/** In a context of its own: nothing is cached. Recordings travel beside the link. */
async function openPage(browser, url, recordings) {
  const context = await browser.newContext();
  const page = await context.newPage();
  page.setDefaultTimeout(0);
  await page.goto(url);
  await page.waitForFunction(() => globalThis.bench !== undefined);
  for (const { name, samples } of recordings) {
    const bytes = Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength).toString('base64');
    await page.evaluate(([key, value]) => bench.keep(key, value), [name, bytes]);
  }
  return page;
}
