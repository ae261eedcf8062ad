/**
 * Where a cut beats both pure plans: the best plan of each kind over devices, round trips, rates and room for weights,
 * with nothing unknown and the planner's own cost model. Blocks are as long as their sizes say, on both sides. Pure.
 */
import type { Codec } from '../core/span.ts';
import { priorSide, scaleSide } from '../device/prior.ts';
import { wholeMs } from '../device/span-ms.ts';
import type { Manifest } from '../package/manifest.ts';
import { costModel, predict } from '../planner/cost.ts';
import { enumeratePlans } from '../planner/enumerate.ts';
import type { PlanShape, Workload } from '../planner/types.ts';

/** Times that the device takes as long as the endpoint: a workstation beside a small server to an old phone. */
export const SLOWDOWNS = [0.5, 1, 2, 4, 8, 16, 32] as const;
/** Round trips in ms, and Mbit/s each way: a cable to the edge of a mobile cell. */
export const ROUND_TRIPS = [2, 10, 20, 50, 100, 150, 300] as const;
export const RATES = [0.5, 1, 2, 5, 10, 30, 100] as const;
/** Share of the weights' bytes that the device may hold. */
export const ROOMS = [1, 0.5] as const;

const BYTES_PER_MEGABIT = 1e6 / 8;

export interface MapOptions {
  readonly manifest: Manifest;
  readonly workload: Workload;
  /** Ms that the endpoint takes for all of the workload. */
  readonly endpointMs: number;
  readonly codecs: readonly Codec[];
}

export interface PlanTime {
  readonly plan: string;
  readonly ms: number;
}

export interface MapCell {
  readonly slowdown: number;
  readonly rttMs: number;
  readonly megabits: number;
  readonly room: number;
  /** Absent where the weights have no room. */
  readonly local?: PlanTime;
  readonly remote: PlanTime;
  /** The best one; absent where none has room. */
  readonly split?: PlanTime;
  /** Share of the better pure plan's time that the best split saves; negative where it loses. */
  readonly gain: number;
}

export function drawMap(options: MapOptions): readonly MapCell[] {
  const { manifest, workload, endpointMs, codecs } = options;
  const plans = enumeratePlans(manifest, { choice: 'auto', codecs, hasEndpoint: true });
  const prior = priorSide(manifest, 'wasm');
  const usual = wholeMs(prior, manifest, workload);
  const taking = (ms: number) => scaleSide(prior, ms / usual, { provider: 'wasm', confidence: 1 });
  const whole = weightBytes(manifest, manifest.blocks.length);
  const isHeld = (plan: PlanShape, room: number): boolean => weightBytes(manifest, plan.cut) <= room * whole;
  const endpoint = { side: taking(endpointMs), queueMs: 0 };
  return SLOWDOWNS.flatMap((slowdown) =>
    ROUND_TRIPS.flatMap((rttMs) =>
      RATES.flatMap((megabits) => {
        const rate = megabits * BYTES_PER_MEGABIT;
        const model = costModel({
          manifest,
          workload,
          device: taking(slowdown * endpointMs),
          endpoint,
          link: { rttMs, upBytesPerSecond: rate, downBytesPerSecond: rate, rttSpreadMs: 0, confidence: 1 },
          missingWeightBytes: () => 0,
        });
        const priced = plans.map((plan) => ({ plan, ms: predict(plan, model).totalMs }));
        return ROOMS.map((room) => {
          const held = priced.filter(({ plan }) => isHeld(plan, room));
          return { slowdown, rttMs, megabits, room, ...compare(held) };
        });
      }),
    ),
  );
}

type Priced = readonly { readonly plan: PlanShape; readonly ms: number }[];

function compare(priced: Priced): Pick<MapCell, 'local' | 'remote' | 'split' | 'gain'> {
  const best = (kind: PlanShape['kind']): PlanTime | undefined =>
    priced
      .filter(({ plan }) => plan.kind === kind)
      .map(({ plan, ms }) => ({ plan: plan.id, ms }))
      .reduce<PlanTime | undefined>((a, b) => (a === undefined || b.ms < a.ms ? b : a), undefined);
  const [local, remote, split] = [best('local'), best('remote'), best('split')];
  if (remote === undefined) throw new RangeError('a model without a plan that is all on the endpoint');
  const pureMs = Math.min(local?.ms ?? Infinity, remote.ms);
  return {
    ...(local === undefined ? {} : { local }),
    remote,
    ...(split === undefined ? {} : { split }),
    gain: split === undefined ? -Infinity : 1 - split.ms / pureMs,
  };
}

/** Bytes of the files that blocks `0..cut-1` name, each counted once. */
function weightBytes({ blocks, files }: Manifest, cut: number): number {
  const shards = new Set(blocks.slice(0, cut).flatMap((block) => block.shards));
  return [...shards].reduce((sum, shard) => sum + (files[shard]?.bytes ?? 0), 0);
}

export interface MapSummary {
  readonly room: number;
  readonly cells: number;
  /** Cells in which a split is faster than both pure plans, and than both by 5%. */
  readonly wins: number;
  readonly clearWins: number;
  /** The cell with the largest gain; absent where no split has room. */
  readonly best?: MapCell;
  /** The largest gains over each pure plan alone, in cells where a split wins. */
  readonly overLocal: number;
  readonly overRemote: number;
}

/** Below it nobody notices, and noise decides. */
const CLEAR_GAIN = 0.05;

export function summariseMap(cells: readonly MapCell[]): readonly MapSummary[] {
  return ROOMS.map((room) => {
    const own = cells.filter((cell) => cell.room === room);
    const won = own.filter(({ gain }) => gain > 0);
    const over = (kind: 'local' | 'remote'): number =>
      Math.max(0, ...won.map(({ split, [kind]: pure }) => (pure && split ? 1 - split.ms / pure.ms : 0)));
    const best = own
      .filter(({ split }) => split !== undefined)
      .reduce<MapCell | undefined>((a, b) => (a === undefined || b.gain > a.gain ? b : a), undefined);
    return {
      room,
      cells: own.length,
      wins: won.length,
      clearWins: won.filter(({ gain }) => gain >= CLEAR_GAIN).length,
      ...(best === undefined ? {} : { best }),
      overLocal: over('local'),
      overRemote: over('remote'),
    };
  });
}
