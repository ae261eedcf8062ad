/** An endpoint's own loop, seen from a browser without a slow link, beside onnxruntime-node on the unsplit graph. */
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { median } from '../report/statistics.mjs';
import { ms, ratio, table } from '../report/table.mjs';
import { openBare } from '../setup/bare-decoder.mjs';
import { launchProfile } from '../setup/chromium.mjs';
import { buildColdPage } from '../setup/cold-page.mjs';
import { startEndpoint } from '../setup/endpoint.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
const MODEL = 'smollm2-135m-instruct';

const CONTEXTS = [128, 1024];
const NEW_TOKENS = 64;
const LIMIT_MS = 120_000;

/** What the issue asks for. */
const MOST_SLOWER = 1.05;

/** @param {{ log: (line: string) => void, options: { rounds: number } }} context */
export async function measureEndpoint({ log, options }) {
  const folder = join(root, '.cache/packages', MODEL);
  if (!existsSync(join(folder, 'manifest.json'))) {
    throw new Error(`no package of ${MODEL} yet: run "npm start" once, which imports it`);
  }
  const manifest = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8'));
  const vocabulary = manifest.stages[0].vocabulary;
  const page = await buildColdPage(root);
  const bare = await openBare(folder, manifest);
  const endpoint = await startEndpoint(root, folder, page);
  const profileFolder = await mkdtemp(join(tmpdir(), 'isthmus-endpoint-'));
  const profile = await launchProfile(profileFolder);
  const loadBefore = loadavg()[0];
  try {
    const visit = async (prompt) => {
      const tab = await profile.newPage();
      try {
        await tab.goto(endpoint.url);
        await tab.waitForFunction(() => globalThis.cold !== undefined);
        const { tokensAt } = await tab.evaluate((asked) => cold.visit(asked), {
          packageUrl: `packages/${MODEL}/`,
          prompt,
          maxTokens: NEW_TOKENS,
          plan: 'remote',
          mode: 'auto',
          prefetch: false,
          limitMs: LIMIT_MS,
          // The other side guesses nothing, and what is compared is a pass.
          draft: 0,
        });
        return (tokensAt.at(-1) - tokensAt[0]) / (tokensAt.length - 1);
      } finally {
        await tab.close();
      }
    };
    const rows = [];
    for (const context of CONTEXTS) {
      const taken = { endpoint: [], bare: [] };
      // One round that does not count: sessions and pages are new in it.
      for (let round = -1; round < options.rounds; round += 1) {
        const prompt = Array.from(
          { length: context },
          (_, at) => ((round + 3) * 7919 + at * 104_729) % vocabulary,
        );
        const sides = [
          ['endpoint', () => visit(prompt)],
          ['bare', () => bare.decode(prompt, NEW_TOKENS)],
        ];
        for (const [name, work] of round % 2 === 0 ? sides : sides.toReversed()) {
          const each = await work();
          if (round >= 0) taken[name].push(each);
        }
      }
      const ratios = taken.endpoint.map((each, round) => each / taken.bare[round]);
      rows.push({ context, taken, ratio: median(ratios) });
      log(`endpoint: ${context} tokens of context: ${ratio(median(ratios))}`);
    }
    const results = { model: MODEL, rows, load: [loadBefore, loadavg()[0]] };
    return { title: `endpoint: ${MODEL}, ${NEW_TOKENS} tokens decoded`, text: describe(results), results };
  } finally {
    await profile.close();
    await endpoint.kill();
    await bare.close();
    await rm(profileFolder, { recursive: true, force: true });
  }
}

function describe({ rows, load }) {
  return [
    table(
      ['context', 'endpoint, ms a token', 'onnxruntime-node, unsplit', 'ratio of times'],
      rows.map(({ context, taken, ratio: of }) => [
        String(context),
        ms(median(taken.endpoint)),
        ms(median(taken.bare)),
        ratio(of),
      ]),
    ),
    `at most ${MOST_SLOWER}x: ${rows.every((row) => row.ratio <= MOST_SLOWER) ? 'yes' : 'no'}`,
    `load: ${load[0].toFixed(2)} before, ${load[1].toFixed(2)} after`,
  ].join('\n');
}
