/**
 * Experience shared with others, where the user agreed: what devices of this class are like, asked when this one is
 * new, and one randomised answer about it in return. Whatever fails here costs the session nothing.
 */
import { octavesOff } from '../device/fleet-prior.ts';
import { isIsthmusError } from '../errors.ts';
import { FLEET_PROVIDERS, type FleetProvider } from '../fleet/device-class.ts';
import { mayReport, parseLedger, saidBefore, serialiseLedger, withEntry } from '../fleet/ledger.ts';
import {
  FLEET_VERSION,
  type FleetAnswer,
  type FleetPrior,
  type FleetReport,
  fleetPath,
  parseAnswer,
} from '../fleet/messages.ts';
import { isSlower } from '../fleet/question.ts';
import { randomiseBit } from '../fleet/randomised-bit.ts';
import type { Workload } from '../planner/types.ts';
import type { FleetAccess, Shared } from './parts.ts';
import { hasLoop, typicalWorkload } from './planning.ts';
import { KNOWN_CONFIDENCE } from './rehearse.ts';

/** Of the store of profiles; theirs are arrays in JSON. */
const LEDGER_KEY = 'fleet-ledger';

/** Ms for an exchange of some hundred bytes; nobody waits for it. */
const EXCHANGE_MS = 10_000;

/**
 * Tokens of the work that speeds are compared on, for all devices alike: what this user's answers are like is not
 * to show in it.
 */
const COMPARED_TOKENS = 12;

export class Experience {
  readonly #shared: Shared;
  readonly #stop: AbortSignal;
  #question: number | undefined;
  #isDone = false;

  /** `stop` ends what is under way. */
  constructor(shared: Shared, stop: AbortSignal) {
    this.#shared = shared;
    this.#stop = stop;
  }

  /** Undefined without consent, or where nothing may or need leave the device. */
  get #access(): FleetAccess | undefined {
    const { options, parts } = this.#shared;
    if (options.shareExperience !== true || options.plan === 'local') return undefined;
    // A text plans nothing on a device before its blocks were timed there: a prior would change no plan.
    return parts.manifest.text === undefined ? parts.fleet : undefined;
  }

  /** Whether a device that was not measured before could be told what to expect of it. */
  get isShared(): boolean {
    return this.#access !== undefined && this.#provider !== undefined;
  }

  /** What others reported of this class; `undefined` where too few did. Never rejects for want of an answer. */
  async prior(): Promise<FleetPrior | undefined> {
    try {
      return (await this.#ask())?.prior;
    } catch (error) {
      if (!isIsthmusError(error)) throw error;
      return undefined;
    }
  }

  /**
   * Reports once, when the device is known well enough and was not reported lately. May be called after whatever
   * teaches about the device. Rejects with why it could not; it is not tried again in this session.
   */
  async share(): Promise<void> {
    const { knowledge, parts } = this.#shared;
    const access = this.#access;
    const provider = this.#provider;
    if (this.#isDone || access === undefined || provider === undefined) return;
    if (knowledge.device.confidence < KNOWN_CONFIDENCE) return;
    this.#isDone = true;
    const ledger = parseLedger(await parts.profiles.get(LEDGER_KEY));
    const at = parts.clock.epoch();
    const model = parts.modelId;
    // A ledger that cannot be read may say that there was enough.
    if (ledger === undefined || !mayReport(ledger, model, at)) return;
    const octaves = octavesOff(knowledge.device, parts.manifest, this.#compared());
    const question = this.#question ?? (await this.#ask())?.ask;
    if (question === undefined || !Number.isFinite(octaves)) return;
    const truth = isSlower(octaves, question);
    const said = saidBefore(ledger, { model, question, truth }) ?? randomiseBit(truth, access.word());
    // Written down first: rather a report that is lost than one that is sent twice.
    const entry = { model, at, question, truth, said };
    await parts.profiles.set(LEDGER_KEY, serialiseLedger(withEntry(ledger, entry)));
    const report: FleetReport = { version: FLEET_VERSION, question, slower: said };
    await access.exchange(this.#path(access, provider), {
      body: JSON.stringify(report),
      signal: this.#signal(),
    });
  }

  async #ask(): Promise<FleetAnswer | undefined> {
    const access = this.#access;
    const provider = this.#provider;
    if (access === undefined || provider === undefined) return undefined;
    const path = this.#path(access, provider);
    const answer = parseAnswer(await access.exchange(path, { signal: this.#signal() }));
    this.#question = answer.ask;
    return answer;
  }

  get #provider(): FleetProvider | undefined {
    return FLEET_PROVIDERS.find((name) => name === this.#shared.device.runner.provider);
  }

  #path({ deviceClass }: FleetAccess, provider: FleetProvider): string {
    return fleetPath(this.#shared.parts.manifest.name, provider, deviceClass);
  }

  #signal(): AbortSignal {
    return AbortSignal.any([this.#shared.timeout(EXCHANGE_MS), this.#stop]);
  }

  #compared(): Workload {
    const { parts, knowledge } = this.#shared;
    const { units } = typicalWorkload(parts.manifest, knowledge);
    return { units, tokens: hasLoop(parts.manifest) ? COMPARED_TOKENS : 0 };
  }
}
