/** `isthmus simulate --map`: where a cut beats both pure plans, by the planner's own cost model. */
import {
  drawMap,
  type MapCell,
  type MapOptions,
  type MapSummary,
  RATES,
  ROUND_TRIPS,
  SLOWDOWNS,
  summariseMap,
} from '../simulation/map.ts';
import type { Io } from './command.ts';
import { table } from './inspect-table.ts';
import { percent } from './percent.ts';

/** Some seconds of speech on a small server's processor. */
export const DEFAULT_ENDPOINT_MS = 100;

export function simulateMap(options: MapOptions, asJson: boolean, io: Pick<Io, 'stdout'>): void {
  const { manifest, workload, endpointMs, codecs } = options;
  const cells = drawMap(options);
  const summaries = summariseMap(cells);
  if (asJson) {
    const told = { model: manifest.name, workload, endpointMs, codecs, summaries, cells };
    io.stdout(`${JSON.stringify(told)}\n`);
    return;
  }
  const head = `${manifest.name}, ${workload.units} units and ${workload.tokens} tokens, ${endpointMs} ms on the endpoint, ${codecs.join(' or ')}\n`;
  const legend =
    'Rows: round trip in ms. Columns: Mbit/s each way. L all here, R all there, @k cut before block k and what it saves.\n';
  const parts = summaries.map((summary) => describe(summary, cells));
  io.stdout([head, legend, ...parts].join('\n'));
}

function describe(summary: MapSummary, cells: readonly MapCell[]): string {
  const { room, wins, clearWins, best, overLocal, overRemote } = summary;
  const title =
    room === 1 ? 'The device holds all weights' : `The device holds ${percent(room)} of the weights`;
  const share = `a cut is faster than both pure plans in ${wins} of ${summary.cells} places, by 5% or more in ${clearWins}`;
  const gain =
    best === undefined || best.gain <= 0
      ? 'It wins nowhere.'
      : `Best gain over the better pure plan: ${percent(best.gain)} (${best.split?.plan}, device ${best.slowdown}x, ${best.rttMs} ms, ${best.megabits} Mbit/s). Where it wins it saves up to ${percent(overRemote)} of all there${overLocal > 0 ? ` and ${percent(overLocal)} of all here` : ''}.`;
  const own = cells.filter((cell) => cell.room === room);
  const maps = SLOWDOWNS.map((slowdown) =>
    draw(
      slowdown,
      own.filter((cell) => cell.slowdown === slowdown),
    ),
  );
  return `${title}: ${share}. ${gain}\n\n${maps.join('\n')}`;
}

function draw(slowdown: number, cells: readonly MapCell[]): string {
  const title = `device ${slowdown}x the endpoint's time`;
  const kinds = new Set(cells.map(kindOf));
  const [only] = kinds;
  if (kinds.size === 1 && (only === 'L' || only === 'R')) return `${title}: ${only} everywhere\n`;
  const rows = ROUND_TRIPS.map((rttMs) => [
    String(rttMs),
    ...RATES.map((rate) => {
      const cell = cells.find((one) => one.rttMs === rttMs && one.megabits === rate);
      return cell === undefined ? '' : kindOf(cell);
    }),
  ]);
  return `${title}\n${table(['', ...RATES.map(String)], rows)}`;
}

function kindOf({ gain, split, local, remote }: MapCell): string {
  if (gain > 0 && split !== undefined) {
    return `${split.plan.replace(/^split/, '').replace(/\/fp32$/, '')} ${Math.round(100 * gain)}%`;
  }
  return local !== undefined && local.ms <= remote.ms ? 'L' : 'R';
}
