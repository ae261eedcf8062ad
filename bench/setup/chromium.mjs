/** An installed Chromium, without what would work in the background while times are taken. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';

const run = promisify(execFile);

const FLAGS = [
  '--no-sandbox',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

async function findChromium() {
  if (process.env.CHROMIUM_PATH !== undefined) return process.env.CHROMIUM_PATH;
  for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
    const found = await run('sh', ['-c', `command -v ${name}`]).catch(() => undefined);
    if (found !== undefined) return found.stdout.trim();
  }
  throw new Error('no Chromium found: install it (Debian: apt-get install chromium) or set CHROMIUM_PATH');
}

/** @returns {Promise<import('playwright-core').Browser>} */
export async function launchChromium() {
  return chromium.launch({ executablePath: await findChromium(), args: FLAGS });
}

/**
 * With a profile on disk, as a user has it: one in memory keeps no large files between visits.
 * @returns {Promise<import('playwright-core').BrowserContext>}
 */
export async function launchProfile(folder) {
  return chromium.launchPersistentContext(folder, { executablePath: await findChromium(), args: FLAGS });
}
