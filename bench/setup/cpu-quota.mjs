/**
 * A share of a core for a tree of processes, by Linux's control groups (version 1, controller `cpu`): a group of our
 * own beside this process, which takes the tree in and is removed afterwards. Where that cannot be had, the reason.
 */
import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { treeOf } from './processor-time.mjs';

/** Us. Short beside a request, so that a throttled thread is slow and does not stand still now and then. */
const PERIOD_US = 20_000;

const NO_QUOTA = -1;
const NAME = 'isthmus-bench-';

/** A tree may grow while it is moved: what is born behind the move is born inside. */
const MAX_MOVES = 10;

/** @returns {{ folder: string } | { reason: string }} where a group can be made, by trying */
function findParent() {
  try {
    const mount = readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .map((line) => line.split(' '))
      .find(([, , type, options]) => type === 'cgroup' && options.split(',').includes('cpu'));
    if (mount === undefined)
      return { reason: "no control group of version 1 with the controller 'cpu' is mounted" };
    const own = readFileSync('/proc/self/cgroup', 'utf8')
      .split('\n')
      .map((line) => line.split(':'))
      .find(([, controllers]) => controllers?.split(',').includes('cpu'));
    // In a container the path may be one of the host's, which is not to be seen here.
    const inner = join(mount[1], own?.[2] ?? '/');
    return { folder: canList(inner) ? inner : mount[1] };
  } catch (error) {
    return { reason: `control groups cannot be read: ${error.message}` };
  }
}

function canList(folder) {
  try {
    return readdirSync(folder).includes('cgroup.procs');
  } catch {
    return false;
  }
}

/**
 * @typedef {object} Quota
 * @property {(cores?: number) => void} set how many cores from now on; without a number, all
 * @property {() => void} release moves what still lives back, and removes the group
 */

/** @returns {Quota | { reason: string }} `reason`: why the tree cannot be held to a share */
export function holdTree(root) {
  const parent = findParent();
  if (parent.reason !== undefined) return parent;
  removeLeftovers(parent.folder);
  const folder = join(parent.folder, `${NAME}${process.pid}-${root}`);
  const write = (name, value) => writeFileSync(join(folder, name), String(value));
  try {
    mkdirSync(folder);
    write('cpu.cfs_period_us', PERIOD_US);
    moveTree(root, folder);
  } catch (error) {
    release(folder, parent.folder);
    return { reason: `no control group can be made in ${parent.folder}: ${error.message}` };
  }
  return {
    set: (cores) => write('cpu.cfs_quota_us', cores === undefined ? NO_QUOTA : Math.round(cores * PERIOD_US)),
    release: () => release(folder, parent.folder),
  };
}

function moveTree(root, folder) {
  for (let move = 0; move < MAX_MOVES; move += 1) {
    const inside = new Set(membersOf(folder));
    const outside = treeOf(root).filter((pid) => !inside.has(pid));
    if (outside.length === 0) return;
    for (const pid of outside) moveTo(folder, pid);
  }
}

/** One that ended meanwhile needs no move. */
function moveTo(folder, pid) {
  try {
    writeFileSync(join(folder, 'cgroup.procs'), String(pid));
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

function membersOf(folder) {
  return readFileSync(join(folder, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number);
}

function release(folder, parent) {
  try {
    for (const pid of membersOf(folder)) moveTo(parent, pid);
    rmdirSync(folder);
  } catch {
    // Not made, or gone; one that stays is removed by the next run.
  }
}

/** Groups of runs that were killed: empty ones can be removed, those in use cannot. */
function removeLeftovers(parent) {
  for (const name of readdirSync(parent)) {
    if (!name.startsWith(NAME)) continue;
    try {
      rmdirSync(join(parent, name));
    } catch {
      // In use.
    }
  }
}
