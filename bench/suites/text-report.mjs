/** The text suite's figures as tables. */
import { median } from '../report/statistics.mjs';
import { table } from '../report/table.mjs';
import { CONTENDERS, NAMES, RIVALS, TARGETS } from './text-contenders.mjs';

const KINDS = ['decode', 'prefill'];

/** By which clock; processor time is a speed on one thread alone. */
const CLOCKS = {
  wall: { title: 'by the clock on the wall', isGiven: () => true },
  processor: {
    title: 'by processor time, one thread: what others on the machine take is not in it',
    isGiven: ({ threads, taken }) =>
      threads === 1 && NAMES.every((name) => taken[name].every(({ processor }) => processor !== undefined)),
  },
};

/**
 * @param {readonly object[]} speeds of each number of threads and context, samples of each contender
 * @param {readonly { threads: number, bytes: Readonly<Record<string, number>> }[]} memory
 */
export function describeText(speeds, memory) {
  const parts = Object.entries(CLOCKS).flatMap(([clock, { title, isGiven }]) => {
    const given = speeds.filter(isGiven);
    return given.length === 0
      ? []
      : [`tokens/s ${title}\n${speedTable(given, clock)}\n${verdicts(given, clock)}`];
  });
  return [...parts, memoryTable(memory)].join('\n\n');
}

/** Tokens/s of a contender: the median of its rounds. */
const speedOf = ({ taken }, name, clock, kind) => median(taken[name].map((sample) => sample[clock][kind]));

/** Rounds are taken side by side: their ratios carry the noise of one moment only. */
const ratioOf = ({ taken }, rival, clock, kind) =>
  median(taken.isthmus.map((sample, round) => sample[clock][kind] / taken[rival][round][clock][kind]));

function speedTable(given, clock) {
  const header = [
    ...['threads', 'context', 'of'],
    ...NAMES.map((name) => CONTENDERS[name].title),
    ...RIVALS.map((name) => `/ ${CONTENDERS[name].title}`),
  ];
  const rows = given.flatMap((one) =>
    KINDS.map((kind) => [
      `${one.threads}`,
      `${one.context}`,
      kind,
      ...NAMES.map((name) => speedOf(one, name, clock, kind).toFixed(1)),
      ...RIVALS.map((rival) => times(ratioOf(one, rival, clock, kind))),
    ]),
  );
  return table(header, rows);
}

function verdicts(given, clock) {
  return Object.entries(TARGETS)
    .flatMap(([rival, target]) =>
      KINDS.map((kind) => {
        const least = Math.min(...given.map((one) => ratioOf(one, rival, clock, kind)));
        const goal = `${kind}, at least ${times(target)} of ${CONTENDERS[rival].title}`;
        return `${goal}: ${least >= target ? 'MET' : 'NOT MET'} (least ${times(least)})`;
      }),
    )
    .join('\n');
}

function memoryTable(memory) {
  const rows = memory.map(({ threads, bytes }) => [
    `${threads}`,
    ...NAMES.map((name) => (bytes[name] / 1e6).toFixed(0)),
  ]);
  const header = ['threads', ...NAMES.map((name) => CONTENDERS[name].title)];
  return `MB of the page and its workers after the last run, as the browser counts them\n${table(header, rows)}`;
}

const times = (value) => `${value.toFixed(2)}x`;
