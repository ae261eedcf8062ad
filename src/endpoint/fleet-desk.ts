/** Takes reports of what devices of a class are like, and says what is believed of one. Knows nobody. */
import { IsthmusError } from '../errors.ts';
import { believer } from '../fleet/belief.ts';
import type { FleetClass, FleetProvider } from '../fleet/device-class.ts';
import { FLEET_VERSION, type FleetAnswer, type FleetReport } from '../fleet/messages.ts';
import { FLEET_EPSILON } from '../fleet/randomised-bit.ts';
import { Tally } from '../fleet/tally.ts';
import { ReportGate } from './report-gate.ts';

export interface FleetDeskOptions {
  /** What identifies the contents of each package, by its name. */
  readonly models: ReadonlyMap<string, string>;
  /** Ms since the Unix epoch. */
  readonly epoch: () => number;
  /** Uniform in `[0, 1)`: which question comes next. */
  readonly random: () => number;
}

/** A class as a request names it. */
export interface AskedPlace {
  /** Name of the package. */
  readonly name: string;
  readonly provider: FleetProvider;
  readonly deviceClass: FleetClass;
}

export class FleetDesk {
  readonly tally = new Tally(believer(FLEET_EPSILON));
  readonly #options: FleetDeskOptions;
  readonly #gate = new ReportGate();

  constructor(options: FleetDeskOptions) {
    this.#options = options;
  }

  /** Throws `unknown-model`. */
  answer(place: AskedPlace): FleetAnswer {
    const { epoch, random } = this.#options;
    const { belief, isKnown } = this.tally.look(this.#placed(place), epoch());
    const ask = belief.ask(random());
    if (!isKnown) return { version: FLEET_VERSION, ask };
    return { version: FLEET_VERSION, ask, prior: { octaves: belief.median, spread: belief.spread } };
  }

  /** Throws `unknown-model`, and `limit-exceeded` for an address that has sent too many. */
  take(place: AskedPlace, { question, slower }: FleetReport, address: string): void {
    const now = this.#options.epoch();
    const placed = this.#placed(place);
    this.#gate.pass(address, now);
    this.tally.add(placed, question, slower, now);
  }

  /** Whether counts of a file are about what is served now. */
  isServed(model: string): boolean {
    return [...this.#options.models.values()].includes(model);
  }

  #placed({ name, provider, deviceClass }: AskedPlace) {
    const model = this.#options.models.get(name);
    if (model !== undefined) return { model, provider, deviceClass };
    throw new IsthmusError('unknown-model', 'no model of that name is served here');
  }
}
