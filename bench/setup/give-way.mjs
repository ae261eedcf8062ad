/** What stands for another machine takes this one's cores only when the device leaves them. */
import { readdirSync } from 'node:fs';
import { setPriority } from 'node:os';

/** The least that there is. */
const LAST = 19;

/** All threads that the process has now, each of which has a priority of its own on Linux; elsewhere nothing is done. */
export function giveWay(pid) {
  if (process.platform !== 'linux') return;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    try {
      setPriority(Number(thread), LAST);
    } catch (error) {
      // One that has ended in the meantime needs nothing.
      if (error?.code !== 'ERR_SYSTEM_ERROR') throw error;
    }
  }
}
