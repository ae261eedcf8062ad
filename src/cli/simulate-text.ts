/** `isthmus simulate` for packages that begin with their token loop: conversations through made-up worlds. */
import type { Manifest } from '../package/manifest.ts';
import { playText, type TextEpisode } from '../simulation/text/play-text.ts';
import { summariseText, type TextSummary } from '../simulation/text/text-summary.ts';
import type { Io } from './command.ts';
import { table } from './inspect-table.ts';
import { percent } from './percent.ts';

/** Each request is weighed against hundreds of routes and moves. */
export const DEFAULT_TEXT_WORLDS = 200;

/** Worlds, some seconds of them, after which progress is told. */
const TOLD_WORLDS = 50;

export interface TextOptions {
  readonly manifest: Manifest;
  readonly worlds: number;
  readonly requests: number;
  readonly firstSeed: number;
}

export function simulateText(options: TextOptions, asJson: boolean, io: Pick<Io, 'stdout' | 'stderr'>): void {
  const { manifest, worlds, requests, firstSeed } = options;
  const episodes: TextEpisode[] = [];
  for (let index = 0; index < worlds; index += 1) {
    episodes.push(...playText(manifest, requests, firstSeed + index));
    if ((index + 1) % TOLD_WORLDS === 0) io.stderr(`${index + 1} of ${worlds} worlds\n`);
  }
  const agents = summariseText(episodes);
  const told = { model: manifest.name, worlds, requests: worlds * requests, firstSeed, agents };
  io.stdout(asJson ? `${JSON.stringify(told)}\n` : describe(agents, worlds, requests));
}

function describe(agents: readonly TextSummary[], worlds: number, requests: number): string {
  const rows = agents.map((one) => [
    one.agent,
    percent(one.meanRegret),
    percent(one.p95Regret),
    percent(one.nearPure),
    percent(one.afterChange[0] ?? 0),
    percent(one.afterChange[9] ?? 0),
    percent(one.firstRegret),
    percent(one.coldRegret),
    percent(one.cloudShare),
    String(Math.round(one.medianTtftMs)),
    percent(one.moved),
    percent(one.cut),
  ]);
  const header = [
    '',
    'regret',
    '95th pct',
    'near best pure',
    'at a change',
    '10th after',
    'first',
    'first visit',
    'endpoint time',
    'ttft ms',
    'moved',
    'with a cut',
  ];
  return `${worlds} worlds of ${requests} requests\n\n${table(header, rows)}\n`;
}
