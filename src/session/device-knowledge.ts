/** What a session has learned of the device: its costs, how sure they are, and what looks at it are worth. */
import type { Clock } from '../core/clock.ts';
import { stageExtents } from '../core/extents.ts';
import type { Phase } from '../core/span.ts';
import { parseSegmentKey } from '../device/endpoint-profile.ts';
import { CONFIRMING_RUNS, lowered, loweringOf } from '../device/first-costs.ts';
import type { Measurement } from '../device/fit.ts';
import type { LearnedProfile } from '../device/learned-profile.ts';
import { LookJudge } from '../device/look-judge.ts';
import {
  expectedMs,
  nextSide,
  observeRuns,
  type PacedSide,
  type Run,
  tookMs,
  unpaced,
} from '../device/paced-side.ts';
import type { DeviceProfile } from '../device/profile.ts';
import { TELLING_PART } from '../device/recheck.ts';
import { phaseMs } from '../device/span-ms.ts';
import { phasesOf } from '../device/work.ts';
import { IsthmusError } from '../errors.ts';
import type { Manifest } from '../package/manifest.ts';
import type { SideProfile, Workload } from '../planner/types.ts';
import type { KeptProfiles } from './kept-profiles.ts';

/** What ran: while the session opened, for a look at the device, or because somebody asked. */
export type Occasion = 'opening' | 'look' | 'request';

export class DeviceKnowledge {
  readonly #manifest: Manifest;
  readonly #kept: KeptProfiles;
  readonly #clock: Clock;
  #side: PacedSide | undefined;
  #stored: DeviceProfile | undefined;
  #seenAt: number | undefined;
  readonly #looks = new LookJudge();
  /** Runs that must still bear out what was measured while the session opened. */
  #unconfirmed = 0;

  constructor(manifest: Manifest, kept: KeptProfiles, clock: Clock) {
    this.#manifest = manifest;
    this.#kept = kept;
    this.#clock = clock;
  }

  get isMeasured(): boolean {
    return this.#side !== undefined;
  }

  /** The measured costs, at the pace that is forecast for the next request. Throws `internal` before any was. */
  get next(): SideProfile {
    return nextSide(this.#measured);
  }

  /** As measured, with how often. */
  get learned(): LearnedProfile {
    return this.#measured.learned;
  }

  /** Ms since anything was measured on the device. */
  get sinceMs(): number {
    return this.#seenAt === undefined ? Infinity : Math.max(0, this.#clock.now() - this.#seenAt);
  }

  /** Whether its costs are those of its opening, which may be far too high; a mere guess is no bound. */
  get isDoubted(): boolean {
    return this.#unconfirmed > 0 && this.#measured.learned.side.confidence > 0;
  }

  /** Without a stored profile what is learned stays in memory. */
  use(learned: LearnedProfile, profile?: DeviceProfile): void {
    this.#side = unpaced(learned);
    this.#seenAt = this.#clock.now();
    this.#unconfirmed = CONFIRMING_RUNS;
    this.#stored = profile;
  }

  /** Corrects its costs by what ran there, and stores them. What ran while the session opened bears nothing out. */
  async observe(
    segmentMs: Readonly<Record<string, number>>,
    workload: Workload,
    when: Occasion,
  ): Promise<void> {
    if (this.#side === undefined) return;
    const runs = this.#runsOf(segmentMs, workload);
    if (runs.length === 0) return;
    if (this.isDoubted) this.#compare(runs, when);
    // Blocks before an early cut tell of themselves alone.
    const isTelling = this.#partOf(runs, workload) >= TELLING_PART;
    if (isTelling) this.#seenAt = this.#clock.now();
    const isLook = when === 'look' && !this.isDoubted;
    const believed = isLook ? this.#judged(runs) : runs;
    if (believed === undefined) return;
    this.#side = observeRuns(this.#measured, believed);
    if (!isLook && isTelling) this.#looks.noteRequests();
    if (this.#stored === undefined) return;
    const measured = believed.map(({ runs: _, ...measurement }): Measurement => measurement);
    this.#stored = this.#kept.extended(this.#stored, measured);
    await this.#kept.write(this.#stored);
  }

  /** A request took at least `ratio` times what was believed. Nothing is stored: it is no measurement. */
  observeAtLeast(ratio: number, workload: Workload): void {
    const runs = this.expected(this.next, workload).map((one): Run => ({ ...one, ms: one.ms * ratio }));
    this.#side = unpaced(observeRuns(this.#measured, runs).learned);
  }

  /** What each stage is believed to take on a side, phase by phase: `ms` of one step of a loop. */
  expected(side: SideProfile, workload: Workload): readonly Run[] {
    const extents = stageExtents(this.#manifest, workload.units);
    return this.#manifest.stages.flatMap((stage, index) =>
      phasesOf(stage).map((phase): Run => {
        const units = phase === 'step' ? 1 : (extents[index] ?? 0);
        const ms = side.blocks
          .slice(stage.from, stage.to)
          .reduce((sum, cost) => sum + phaseMs(cost[phase], units), 0);
        const segment = { stage: index, from: stage.from, to: stage.to };
        return { segment, phase, units, ms, runs: runsIn(phase, workload) };
      }),
    );
  }

  get #measured(): PacedSide {
    if (this.#side === undefined) throw new IsthmusError('internal', 'the device was not measured yet');
    return this.#side;
  }

  #runsOf(segmentMs: Readonly<Record<string, number>>, workload: Workload): readonly Run[] {
    const extents = stageExtents(this.#manifest, workload.units);
    const runs: Run[] = [];
    for (const [key, total] of Object.entries(segmentMs)) {
      const parsed = parseSegmentKey(key);
      if (parsed === undefined) continue;
      const { segment, phase } = parsed;
      const units = phase === 'step' ? 1 : (extents[segment.stage] ?? 0);
      const times = runsIn(phase, workload);
      runs.push({ segment, phase, units, ms: total / times, runs: times });
    }
    return runs;
  }

  /** Of what the whole request would take here, by what is believed: the part that ran. */
  #partOf(runs: readonly Run[], workload: Workload): number {
    const { side } = this.#measured.learned;
    const whole = tookMs(this.expected(side, workload));
    return whole > 0 ? expectedMs(side, runs) / whole : 1;
  }

  /** First costs against what ran behind them. */
  #compare(runs: readonly Run[], when: Occasion): void {
    const factor = loweringOf(this.#measured, runs);
    if (factor === 1) {
      if (when !== 'opening') this.#unconfirmed -= 1;
      return;
    }
    this.#side = lowered(this.#measured, factor);
    if (this.#stored === undefined) return;
    const measurements = this.#stored.measurements.map((one) => ({ ...one, ms: one.ms * factor }));
    this.#stored = { ...this.#stored, measurements };
  }

  /** What a look's runs stand for, in ms as requests take them; `undefined` where nothing is learned from it. */
  #judged(runs: readonly Run[]): readonly Run[] | undefined {
    const ms = tookMs(runs);
    const expected = (): number => expectedMs(this.#measured.learned.side, runs);
    const { factor } = this.#looks.take({ ms, expectedMs: expected });
    if (factor === undefined) return undefined;
    const worth = (factor * expected()) / ms;
    return runs.map((run) => ({ ...run, ms: run.ms * worth }));
  }
}

/** A loop of n tokens takes n + 1 steps: the last one finds the end. */
function runsIn(phase: Phase, { tokens }: Workload): number {
  return phase === 'step' ? tokens + 1 : 1;
}
