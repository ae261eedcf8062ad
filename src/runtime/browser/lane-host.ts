/** The worker's side of lanes: they live beside the runtime, under numbers. */
import { IsthmusError } from '../../errors.ts';
import type { LocalLane } from '../create-lane.ts';
import { type LaneAnswer, type LaneApi, type LaneId, outcome } from './worker-api.ts';
import type { WorkerJobs } from './worker-jobs.ts';

export interface LaneHostOptions {
  /** Waits for the runtime where that has not started yet. */
  readonly create: () => Promise<LocalLane>;
  readonly jobs: WorkerJobs;
}

export function createLaneHost({ create, jobs }: LaneHostOptions): LaneApi {
  const lanes = new Map<LaneId, LocalLane>();
  let next = 1;

  const answer = async <T>(id: LaneId, work: (lane: LocalLane) => Promise<T>): Promise<LaneAnswer<T>> => {
    const lane = lanes.get(id);
    const result = await outcome(() => {
      if (lane === undefined) throw new IsthmusError('closed', 'the lane was closed');
      return work(lane);
    });
    return { outcome: result, filled: lane?.filledBlocks() ?? [] };
  };

  return {
    openLane: () =>
      outcome(async () => {
        const lane = await create();
        const id = next;
        next += 1;
        lanes.set(id, lane);
        return id;
      }),
    laneForward: (id, request, job) =>
      answer(id, (lane) => jobs.run(job, (signal) => lane.forward(request, { signal }))),
    laneLoop: (id, request, job, onPass) =>
      answer(id, (lane) => jobs.run(job, (signal) => lane.loop(request, { onPass, signal }))),
    laneReadState: (id, span, from, to) => answer(id, (lane) => lane.readState(span, from, to)),
    laneWriteState: (id, span, from, tensors) => answer(id, (lane) => lane.writeState(span, from, tensors)),
    closeLane: (id) =>
      outcome(async () => {
        const lane = lanes.get(id);
        lanes.delete(id);
        await lane?.close();
      }),
  };
}
