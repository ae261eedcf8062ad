/** Processor time of processes and of trees of them, from Linux's /proc; undefined or empty elsewhere. */
import { closeSync, openSync, readdirSync, readSync } from 'node:fs';

/** Ms per tick of /proc: `USER_HZ` is 100 on every Linux that Chromium runs on. */
const TICK_MS = 10;

/** Places among the fields behind the name: proc_pid_stat(5), less the first two. */
const PARENT = 1;
const USER = 11;
const SYSTEM = 12;

/**
 * Lines are read into this one, and numbers out of it: `readFileSync` takes 64 KiB for a file of unknown size, some 10 MB
 * for all processes, and the collections that this brought about took 100 ms of the processor from every second request
 * that was timed. A line has 52 numbers of at most 20 digits and a name of at most 64.
 */
const LINE = Buffer.alloc(2048);
const [SPACE, BRACKET, ZERO] = Buffer.from(' )0');

/** @returns {number[] | undefined} the numbers at these places; undefined for a process that is not there */
function numbersOf(pid, places) {
  let length;
  try {
    const file = openSync(`/proc/${pid}/stat`, 'r');
    try {
      length = readSync(file, LINE);
    } finally {
      closeSync(file);
    }
  } catch {
    return undefined;
  }
  // The name, in brackets, may hold anything; the fields that follow it are numbers.
  let at = LINE.subarray(0, length).lastIndexOf(BRACKET) + 2;
  const numbers = [];
  for (let place = 0; at < length && numbers.length < places.length; place += 1) {
    let value = 0;
    for (; at < length && LINE[at] !== SPACE; at += 1) value = 10 * value + LINE[at] - ZERO;
    if (place === places[numbers.length]) numbers.push(value);
    at += 1;
  }
  return numbers;
}

/** @returns {number | undefined} ms since the process began, of all its threads; undefined off Linux */
export function processorMs(pid) {
  const times = numbersOf(pid, [USER, SYSTEM]);
  return times === undefined ? undefined : (times[0] + times[1]) * TICK_MS;
}

/** @returns {number[]} the process and all that descend from it, it first */
export function treeOf(root) {
  const children = new Map();
  for (const name of listProcesses()) {
    const [parent] = numbersOf(name, [PARENT]) ?? [];
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const tree = [root];
  for (const pid of tree) tree.push(...(children.get(pid) ?? []));
  return tree;
}

function listProcesses() {
  try {
    return readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  } catch {
    return [];
  }
}

/**
 * What a tree spends from now on. A process that ends takes its time with it, and a tick is 10 ms: ask over spans of
 * work, not over moments.
 * @returns {() => number | undefined} ms since the call
 */
export function startProcessorClock(root) {
  const before = new Map(treeOf(root).map((pid) => [pid, processorMs(pid)]));
  return () => {
    if (before.get(root) === undefined) return undefined;
    let total = 0;
    for (const pid of treeOf(root)) total += Math.max(0, (processorMs(pid) ?? 0) - (before.get(pid) ?? 0));
    return total;
  };
}
