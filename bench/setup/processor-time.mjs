/** Processor time of processes and of trees of them, from Linux's /proc; undefined or empty elsewhere. */
import { readdirSync, readFileSync } from 'node:fs';

/** Ms per tick of /proc: `USER_HZ` is 100 on every Linux that Chromium runs on. */
const TICK_MS = 10;

/** Places among the fields behind the name: proc_pid_stat(5), less the first two. */
const PARENT = 1;
const USER = 11;
const SYSTEM = 12;

function fieldsOf(pid) {
  try {
    // The name, in brackets, may hold anything; the fields that follow it are numbers.
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

/** @returns {number | undefined} ms since the process began, of all its threads; undefined off Linux */
export function processorMs(pid) {
  const fields = fieldsOf(pid);
  return fields === undefined ? undefined : (Number(fields[USER]) + Number(fields[SYSTEM])) * TICK_MS;
}

/** @returns {number[]} the process and all that descend from it, it first */
export function treeOf(root) {
  const children = new Map();
  for (const name of listProcesses()) {
    const parent = Number(fieldsOf(name)?.[PARENT]);
    if (Number.isInteger(parent)) children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
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
