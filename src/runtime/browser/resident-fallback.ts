/**
 * State through onnxruntime-web's public API, for where the heap is out of reach: copied in and out at
 * each run. The API hands back pre-allocated outputs as they were given, whatever the runtime wrote, so
 * `shared` entries grow like `append` ones: the same graph makes the same numbers from both.
 */
import type { InferenceSession, Tensor as OrtTensor, TensorConstructor } from 'onnxruntime-common';
import type { StateEntry } from '../../package/manifest.ts';
import { fromOrt, toOrt } from '../ort-tensor.ts';
import { positionAxis, sliceRows } from '../state-rows.ts';
import type { RowsAt, StateRun, StateStore } from '../state-store.ts';

/** @param Tensor constructor of the runtime's tensors */
export function withoutSharing(store: StateStore, Tensor: TensorConstructor): StateStore {
  return {
    run: (request) =>
      store.run({
        ...request,
        session: withoutPadding(request, Tensor),
        reads: request.reads.map(appended),
        writes: request.writes.map(appended),
      }),
    read: (entry, from, to) => store.read(appended(entry), from, to),
    write: (entry, from, rows) => store.write(appended(entry), from, rows),
    close: () => store.close(),
  };
}

function appended(entry: StateEntry): StateEntry {
  return entry.growth === 'shared' ? { ...entry, growth: 'append' } : entry;
}

/** The session, less the rows that a graph with buffers to write in may put behind its own (`SPARE_ROWS`). */
function withoutPadding({ session, writes, at }: StateRun, Tensor: TensorConstructor): InferenceSession {
  const shared = writes.filter((entry) => entry.growth === 'shared');
  if (at === undefined || shared.length === 0) return session;
  const run = async (
    feeds: InferenceSession.FeedsType,
    fetches: InferenceSession.FetchesType,
  ): Promise<Record<string, OrtTensor>> => {
    const results: Record<string, OrtTensor> = { ...(await session.run(feeds, fetches)) };
    for (const entry of shared) {
      const made = results[entry.output];
      if (made !== undefined) results[entry.output] = cut(entry, made, at, Tensor);
    }
    return results;
  };
  return Object.create(session, { run: { value: run } }) as InferenceSession;
}

function cut(entry: StateEntry, made: OrtTensor, at: RowsAt, Tensor: TensorConstructor): OrtTensor {
  const axis = positionAxis(entry);
  const rows = at.position + at.rows;
  if ((made.dims[axis] ?? 0) <= rows) return made;
  return toOrt(sliceRows(fromOrt(entry.output, made), axis, 0, rows), Tensor);
}
