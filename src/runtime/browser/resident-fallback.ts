/**
 * State through onnxruntime-web's public API, for where the heap is out of reach: copied in and out at
 * each run. The API hands back pre-allocated outputs as they were given, whatever the runtime wrote, so
 * `shared` entries grow like `append` ones: the same graph makes the same numbers from both.
 */
import type { StateEntry } from '../../package/manifest.ts';
import type { StateStore } from '../state-store.ts';

export function withoutSharing(store: StateStore): StateStore {
  return {
    run: (request) =>
      store.run({ ...request, reads: request.reads.map(appended), writes: request.writes.map(appended) }),
    read: (entry, from, to) => store.read(appended(entry), from, to),
    write: (entry, from, rows) => store.write(appended(entry), from, rows),
    close: () => store.close(),
  };
}

function appended(entry: StateEntry): StateEntry {
  return entry.growth === 'shared' ? { ...entry, growth: 'append' } : entry;
}
