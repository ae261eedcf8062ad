/** The figures of a grid run for a terminal and for a README. Pure. */
import { figuresOf, nameOf } from './grid-figures.mjs';
import { ms, ratio, table } from './table.mjs';
import { TARGETS } from './targets.mjs';

const percent = (share) => `${(100 * share).toFixed(1)}%`;
const time = (value) => (value == null ? '–' : ms(value));

const HEADER = ['scenario', 'auto', 'ms', 'predicted', 'best', 'local', 'remote', 'middle cut', 'regret'];

const rowsOf = (results) =>
  results.map((one) => [
    nameOf(one.scenario),
    one.plan,
    time(one.ms.total),
    time(one.predictedMs),
    `${one.oracle.plan} ${time(one.oracle.ms)}`,
    time(one.allLocalMs),
    time(one.allRemoteMs),
    time(one.fixedMiddleMs),
    percent(one.regret),
  ]);

/** @param {readonly { device: string, reason: string }[]} absent what could not be measured there, and why */
export function gridText(results, absent = []) {
  const missing = absent.map(sentenceOfAbsent);
  if (results.length === 0) return ['no scenario was measured', ...missing].join('\n');
  return [table(HEADER, rowsOf(results)), '', ...sentencesOf(results), ...missing].join('\n');
}

export const sentenceOfAbsent = ({ device, reason }) => `device '${device}' is absent: ${reason}`;

/** A GitHub table; what could end a cell is escaped. */
export function gridMarkdown(results, absent = []) {
  if (results.length === 0)
    return ['No scenario was measured.', ...absent.map(sentenceOfAbsent), ''].join('\n');
  const line = (cells) => `| ${cells.map((cell) => cell.replaceAll(/([\\|<`])/g, '\\$1')).join(' | ')} |`;
  const rule = `|${HEADER.map((_, column) => (column === 0 ? '---' : '---:')).join('|')}|`;
  const sentences = [...sentencesOf(results), ...absent.map(sentenceOfAbsent)].map((one) => `- ${one}`);
  return [line(HEADER), rule, ...rowsOf(results).map(line), '', ...sentences, ''].join('\n');
}

/** @returns {string[]} targets, met or not, and what else all scenarios say together */
export function sentencesOf(results) {
  const { mean, p95, near, nearIfFree, choice, choosing, count, bestChosen, bestGain, calibration, ...more } =
    figuresOf(results);
  const { untold, cloud, peers, isMet } = more;
  const met = (is) => (is ? 'MET' : 'NOT MET');
  return [
    `regret: mean ${percent(mean)} (at most ${percent(TARGETS.mean)}: ${met(isMet.mean)}), 95th percentile ${percent(p95)} (at most ${percent(TARGETS.p95)}: ${met(isMet.p95)})`,
    `the best measured plan was the one chosen: ${bestChosen} of ${count}; there regret is what choosing costs`,
    ...(choice === undefined
      ? []
      : [
          `regret of the choices alone, by what their plans took when told: mean ${percent(choice.mean)}, 95th percentile ${percent(choice.p95)} (of ${choice.count})${choosing === undefined ? '' : `; choosing takes ${ratio(choosing)} of the same plan told to the same session (median)`}`,
        ]),
    `within ${TARGETS.nearRatio}x of the better pure plan: ${near} of ${count} (${met(isMet.near)})${nearIfFree === undefined ? '' : `; of a planner that takes the best plan and costs nothing ${Math.round(nearIfFree)} would be, for runs of one plan differ`}${untold ? `; of ${untold} the pairs of runs do not tell` : ''}`,
    `the best plan's gain over the better pure plan: at most ${percent(bestGain)}${calibration === undefined ? '' : `; predicted/measured: median ${ratio(calibration)}`}`,
    ...(cloud === undefined
      ? []
      : [
          `endpoint processor time: ${percent(cloud.share)} of all-remote's, over the ${cloud.count} of ${cloud.of} scenarios in which the planner was no slower than it`,
        ]),
    ...(peers.length === 0
      ? []
      : [
          `others' time over the planner's, medians: ${peers.map(({ name, ratio: times, count }) => `${name} ${ratio(times)} (of ${count})`).join(', ')}`,
        ]),
  ];
}
