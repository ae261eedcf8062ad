/** What a Chromium trace says of a page's main thread. Pure. */

const TASK = 'RunTask';

/** Categories that name tasks and what runs in them. */
export const CATEGORIES = [
  'toplevel',
  'devtools.timeline',
  'disabled-by-default-devtools.timeline',
  'v8.execute',
  'blink.user_timing',
];

/** The process of the page that set this mark: by its load it cannot be told on a machine that is busy. */
export function processOf({ traceEvents }, mark) {
  const event = traceEvents.find(({ name, cat = '' }) => name === mark && cat.includes('blink.user_timing'));
  if (event === undefined) throw new Error(`the trace has no mark '${mark}'`);
  return event.pid;
}

/** Inside a task of the page's own code one of these runs; painting, layout and the browser's errands have none. */
const SCRIPT = new Set([
  'FunctionCall',
  'EvaluateScript',
  'v8.run',
  'v8.callFunction',
  'RunMicrotasks',
  'TimerFire',
  'V8.GCScavenger',
  'MajorGC',
  'MinorGC',
]);

/** Us: shorter ones are no one's trouble, and there are thousands. */
const LEAST_US = 1000;

/**
 * @param {{ traceEvents: readonly object[] }} trace
 * @param {number} pid of the page's process
 * @returns {{ ms: number, cpuMs: number, atMs: number, parts: string[] }[]} tasks in which script ran, longest first;
 *   `parts`: what was in it, longest first
 */
export function scriptTasks({ traceEvents }, pid) {
  const main = traceEvents.find(
    (event) => event.pid === pid && event.name === 'thread_name' && event.args?.name === 'CrRendererMain',
  );
  if (main === undefined) throw new Error(`the trace has no main thread of process ${pid}`);
  const mine = traceEvents.filter((event) => event.pid === pid && event.tid === main.tid && event.ph === 'X');
  const start = mine.reduce((least, { ts }) => Math.min(least, ts), Infinity);
  const tasks = outermost(mine.filter(({ name, dur }) => name.endsWith(TASK) && dur >= LEAST_US));
  const inner = mine.filter(({ name, dur }) => !name.endsWith(TASK) && dur > 0);
  return tasks
    .map((task) => ({ task, parts: inner.filter((event) => isInside(event, task)) }))
    .filter(({ parts }) => parts.some(({ name }) => SCRIPT.has(name)))
    .map(({ task, parts }) => ({
      ms: task.dur / 1000,
      cpuMs: (task.tdur ?? task.dur) / 1000,
      atMs: (task.ts - start) / 1000,
      parts: parts.toSorted((a, b) => b.dur - a.dur).map(describe),
    }))
    .sort((a, b) => b.ms - a.ms);
}

/** The scheduler's task is within the message pump's, and both have the name. */
function outermost(tasks) {
  const kept = [];
  for (const task of tasks.toSorted((a, b) => a.ts - b.ts || b.dur - a.dur)) {
    if (kept.length === 0 || !isInside(task, kept.at(-1))) kept.push(task);
  }
  return kept;
}

const isInside = (event, task) => event.ts >= task.ts && event.ts + event.dur <= task.ts + task.dur;

function describe({ name, dur, args }) {
  const data = args?.data ?? {};
  const where = [data.functionName, data.url?.slice(data.url.lastIndexOf('/') + 1), data.lineNumber];
  const place = where.filter((part) => part !== undefined && part !== '').join(':');
  return `${name} ${(dur / 1000).toFixed(1)} ms${place === '' ? '' : ` (${place})`}`;
}
