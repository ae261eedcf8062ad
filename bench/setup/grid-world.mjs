/** Both models behind one endpoint, and all that a grid needs beside them; browsers are opened by device. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fetchModel } from '../../demo/model/fetch.mjs';
import { fetchSmollm2 } from '../../demo/model/fetch-smollm2.mjs';
import { startCloudApp } from './cloud-app.mjs';
import { importPackage, startEndpoint } from './endpoint.mjs';
import { buildPage } from './page.mjs';
import { findRecordings } from './recordings.mjs';
import { portOf, startRelay } from './relay.mjs';
import { openPrompts } from './text-prompts.mjs';
import { importText, TEXT_MODEL } from './text-world.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
const SPEECH_MODEL = 'moonshine-tiny-q8';

/** Until a suite says what the links are. */
const OPEN = { rttMs: 0, upBitsPerSecond: 1e9, downBitsPerSecond: 1e9, isDated: false };

/**
 * @param {(line: string) => void} log
 * @param {{ hasText: boolean }} options without text, its model is neither fetched nor imported
 */
export async function openGridWorld(log, { hasText }) {
  const model = await fetchModel(SPEECH_MODEL, { log });
  const { recordings, source } = await findRecordings(root, model.audio.sampleRate);
  const gguf = hasText ? await fetchSmollm2({ log }) : undefined;
  // Each keeps one core busy.
  const folders = await Promise.all([
    importPackage(root, model, log),
    ...(hasText ? [importText(gguf, log)] : []),
  ]);
  log('Building the page');
  const page = await buildPage(root, model);
  const open = [];
  const opened = (one, close) => {
    open.unshift(close);
    return one;
  };
  const close = async () => {
    for (const end of open) await end();
  };
  try {
    const endpoint = await startEndpoint(root, folders, page);
    opened(endpoint, endpoint.stop);
    const app = await startCloudApp({ url: endpoint.url, model, recordings });
    opened(app, app.close);
    const relay = await startRelay({ target: portOf(endpoint), ...OPEN });
    opened(relay, relay.close);
    const appRelay = await startRelay({ target: app.port, ...OPEN });
    opened(appRelay, appRelay.close);
    return {
      model,
      folders: { speech: folders[0], text: folders[1] },
      recordings,
      source,
      endpoint,
      /** What the page asks, of each kind of work. */
      packages: { speech: `packages/${SPEECH_MODEL}/`, text: `packages/${TEXT_MODEL}/` },
      /** The cut nearest to the middle of each. */
      middles: {
        speech: await middleOf(folders[0]),
        ...(hasText ? { text: await middleOf(folders[1]) } : {}),
      },
      ...(hasText ? { nextPrompt: await openPrompts(folders[1]), gguf } : {}),
      pageUrl: `http://127.0.0.1:${relay.port}/`,
      appUrl: `http://127.0.0.1:${appRelay.port}/`,
      /** The one line that both the endpoint and the cloud app are behind; they are never asked at once. */
      shape: (link) => {
        for (const one of [relay, appRelay]) one.shape(link);
      },
      sever: (isCut) => {
        for (const one of [relay, appRelay]) one.sever(isCut);
      },
      /** What the endpoint's line has carried so far. */
      bytes: () => relay.bytes(),
      root,
      log,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function middleOf(folder) {
  const { blocks } = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8'));
  return Math.round(blocks.length / 2);
}
