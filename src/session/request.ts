/** One request: planned, run, and gone on with elsewhere until one plan succeeds or none is left. */
import { IsthmusError, throwIfAborted, toIsthmusError } from '../errors.ts';
import { choosePlan, type PlanLimit } from '../planner/choose.ts';
import type { Goal } from '../planner/objective.ts';
import type { PricedPlan, Workload } from '../planner/types.ts';
import type { DeviceRunner } from '../runtime/runner.ts';
import { type Executed, executePlan } from './execute.ts';
import { type Abandoned, choiceName, failure, nextChoice, notAgain } from './fallback.ts';
import { candidateFor, hedgeReport, learnFromRace, mayHedge } from './hedging.ts';
import { seekEndpoint } from './meet-endpoint.ts';
import type { Shared } from './parts.ts';
import { goalFor, hasLoop, planningInput, workloadOf } from './planning.ts';
import { race } from './race.ts';
import type { PlanWatch, RaceWon } from './race-types.ts';
import { reportOf } from './report.ts';
import type { PlanChoice, RunOptions, RunOutcome } from './types.ts';
import { inBackground, orAborted } from './waiting.ts';

/** Tokens of one request where the package names no bound. */
const DEFAULT_MAX_TOKENS = 448;

/** Looking up costs a message for each file: in a first visit 10 to 20 ms before anything is asked for. */
const LOOK_UP_AGAIN_MS = 1_000;

/** Workers restarted within one request; a second loss is a defect, not an accident. */
const MAX_RESTARTS = 1;

/** @param onAlone told when a plan begins and no other beside it: what it leaves idle may be looked at */
export function runRequest(
  shared: Shared,
  options: RunOptions,
  onAlone: (planned: Planned) => void = () => undefined,
): Promise<RunOutcome> {
  return new Request(shared, options, onAlone).run();
}

/** A plan, and what it was chosen for. */
export interface Planned {
  readonly plan: PricedPlan;
  readonly choice: PlanChoice;
  readonly workload: Workload;
  readonly goal: Goal;
}

class Request {
  readonly #shared: Shared;
  readonly #options: RunOptions;
  readonly #onAlone: (planned: Planned) => void;
  readonly #maxTokens: number;
  readonly #workload: Workload;
  readonly #goal: Goal;
  readonly #tokens: number[] = [];
  readonly #abandoned: Abandoned[number][] = [];
  readonly #limits: PlanLimit[] = [];
  readonly #started: number;
  #ttftMs: number | undefined;
  /** What the caller's own `onToken` threw: no plan can help that. */
  #thrown: { readonly error: unknown } | undefined;

  constructor(shared: Shared, options: RunOptions, onAlone: (planned: Planned) => void) {
    const { manifest, clock } = shared.parts;
    this.#shared = shared;
    this.#onAlone = onAlone;
    this.#goal = goalFor(shared.options, options);
    this.#options = options;
    this.#started = clock.now();
    const bound = options.maxTokens ?? manifest.generation?.maxTokens ?? DEFAULT_MAX_TOKENS;
    this.#maxTokens = Math.max(1, bound);
    this.#workload = workloadOf(manifest, options.inputs, this.#maxTokens, shared.knowledge);
  }

  async run(): Promise<RunOutcome> {
    const { options, device } = this.#shared;
    let choice = this.#options.plan ?? options.plan ?? 'auto';
    let restarts = 0;
    for (;;) {
      const { runner } = device;
      let plan = choiceName(choice);
      try {
        await this.#refresh(choice);
        throwIfAborted(this.#options.signal);
        const { chosen, reason } = this.#choose(choice);
        plan = chosen.id;
        const result = await this.#race(chosen, choice);
        if (!('failures' in result)) return await this.#outcome(result, reason);
        const last = result.failures.at(-1);
        this.#abandoned.push(...result.failures.slice(0, -1));
        for (const { plan: id, error } of result.failures.slice(0, -1))
          this.#limits.push(notAgain(id, error));
        plan = last?.plan ?? plan;
        throw last?.error;
      } catch (thrown) {
        if (this.#thrown !== undefined) throw this.#thrown.error;
        const error = this.#explained(toIsthmusError(thrown), choice);
        if (error.code === 'worker-lost' && restarts < MAX_RESTARTS) {
          restarts += 1;
          await this.#restart(runner);
        } else {
          const next = nextChoice(choice, error, options.fallback !== false);
          if (next === undefined) throw failure(error, this.#abandoned);
          this.#limits.push(notAgain(plan, error));
          choice = next;
        }
        this.#abandoned.push({ plan, error });
      }
    }
  }

  #choose(choice: PlanChoice): { readonly chosen: PricedPlan; readonly reason: string } {
    const { emit } = this.#shared;
    const { chosen, reason } = choosePlan(
      planningInput(this.#shared, this.#workload, choice, this.#limits, this.#goal),
    );
    emit({ type: 'plan', plan: chosen, reason });
    const last = this.#abandoned.at(-1);
    if (last !== undefined) emit({ type: 'fallback', from: last.plan, to: chosen.id, error: last.error });
    return { chosen, reason };
  }

  #race(first: PricedPlan, choice: PlanChoice) {
    const { parts, options, link, emit, timeout } = this.#shared;
    const request = { first, workload: this.#workload, goal: this.#goal };
    const isHedged = link !== undefined && mayHedge(options, this.#options, choice);
    let isAlone = true;
    const racing = race({
      first,
      ...(isHedged
        ? { second: (progress) => candidateFor(this.#shared, request, this.#limits, progress) }
        : {}),
      run: (plan, watch) => this.#execute(plan, watch),
      told: this.#tokens,
      tell: (token) => this.#tell(token),
      onSecond: ({ plan, cause }) => {
        isAlone = false;
        emit({ type: 'hedge', plan, beside: first.id, cause });
      },
      signal: this.#options.signal,
      clock: parts.clock,
      timeout,
    });
    // By now a second one that begins at the start has begun.
    if (isAlone) this.#onAlone({ plan: first, choice, workload: this.#workload, goal: this.#goal });
    return racing;
  }

  async #outcome(won: RaceWon, reason: string): Promise<RunOutcome> {
    const { manifest, clock } = this.#shared.parts;
    const { executed, winner, hedge } = won;
    // A clock that was set back gives no negative times.
    const totalMs = Math.max(0, clock.now() - this.#started);
    if (hedge !== undefined) this.#shared.device.leave(won.stopped);
    const told = hedgeReport(won);
    await this.#learn(executed);
    // What follows a failure begins with tokens that are known: its time says little of its prediction.
    if (this.#abandoned.length === 0) learnFromRace(this.#shared, won, this.#workload);
    const report = reportOf({
      plan: winner.plan,
      reason,
      abandoned: this.#abandoned,
      executed,
      hedge: told,
      totalMs,
      ttftMs: this.#ttftMs ?? totalMs,
      blocks: manifest.blocks.length,
    });
    return { tokens: this.#tokens, outputs: executed.outputs, report };
  }

  #execute(plan: PricedPlan, { prefix, signal, onToken, onMeter, onReady }: PlanWatch): Promise<Executed> {
    const { parts, device, knowledge, link } = this.#shared;
    const { inputs } = this.#options;
    const { manifest, clock } = parts;
    const work = { manifest, inputs, maxTokens: this.#maxTokens, prefix, clock, onToken, onMeter, signal };
    return executePlan(plan, work, {
      device: async (cut) => {
        await device.settled(signal);
        await device.start(signal);
        onReady();
        return device.executor(cut, { signal });
      },
      generate: (request, how) => device.runner.generate(request, how),
      link,
      observe: (observation) => knowledge.observeLink(observation),
    });
  }

  #tell(token: number): void {
    this.#ttftMs ??= Math.max(0, this.#shared.parts.clock.now() - this.#started);
    try {
      this.#options.onToken?.(token);
    } catch (error) {
      this.#thrown ??= { error };
      throw error;
    }
  }

  async #learn(executed: Executed): Promise<void> {
    const { parts, knowledge } = this.#shared;
    const tokens = this.#tokens.length;
    const done = { units: this.#workload.units, tokens };
    await knowledge.observeDevice(executed.deviceMs, done);
    if (executed.endpoint !== undefined) {
      knowledge.observeEndpoint(executed.endpoint, Math.max(1, executed.roundTrips), done);
    }
    if (hasLoop(parts.manifest)) knowledge.observeTokens(tokens, this.#maxTokens);
  }

  /** Brings what the choice rests on up to date: weights that arrived, an endpoint that may be back. */
  async #refresh(choice: PlanChoice): Promise<void> {
    const { parts, options, device, link } = this.#shared;
    const whole = parts.manifest.blocks.length;
    // What is not here changes nothing of a plan that runs nothing here, and the worker may be busy.
    if (choice !== 'remote' && device.missingBytes(whole) > 0) {
      // Own fetches tell when they arrive; what another tab has fetched meanwhile may serve the next request.
      if (choice !== 'auto' || link?.state !== 'up') await device.refreshMissing();
      else if (device.sinceLookedUpMs > LOOK_UP_AGAIN_MS) inBackground(device.refreshMissing());
    }
    const isRetry = this.#abandoned.length > 0;
    if (choice === 'local' || isRetry) return;
    const canRunHere = device.missingBytes(whole) === 0 && (choice === 'auto' || options.fallback !== false);
    await seekEndpoint(this.#shared, { canRunHere, signal: this.#options.signal });
  }

  async #restart(dead: DeviceRunner): Promise<void> {
    try {
      await orAborted(this.#shared.device.restart(dead), this.#options.signal);
    } catch (error) {
      throw failure(toIsthmusError(error, 'worker-lost'), this.#abandoned);
    }
  }

  /** Says how much is missing where the planner alone could not. */
  #explained(error: IsthmusError, choice: PlanChoice): IsthmusError {
    if (error.code !== 'weights-missing' || 'missingBytes' in error.details) return error;
    const { parts, device } = this.#shared;
    const cut = typeof choice === 'object' ? choice.cut : parts.manifest.blocks.length;
    const details = { ...error.details, missingBytes: device.missingBytes(cut), cut };
    return new IsthmusError(error.code, error.message, { details, cause: error });
  }
}
