/** Looks at the link beside requests that run here alone (`link/glance`), where it could change the plan. */
import { type LinkObservation, NEW_LINK } from '../link/estimator.ts';
import {
  afterGlance,
  isNews,
  isOtherLink,
  isPingDue,
  isRateGuessed,
  NO_GLANCES,
  NO_PINGS,
  noteGlance,
  OTHER_LINK_GAIN,
  pingBytes,
  planGlance,
} from '../link/glance.ts';
import { observeAll, sendProbe } from '../link/probe.ts';
import { hopesForEndpoint } from '../planner/hope.ts';
import type { Shared } from './parts.ts';
import { planningInput } from './planning.ts';
import type { Planned } from './request.ts';

export class LinkGlances {
  readonly #shared: Shared;
  #glances = NO_GLANCES;
  #pings = NO_PINGS;
  #isLooking = false;
  /** Requests since anything passed the link, and since a rate of it was seen. */
  #unasked = 0;
  #unseen = 0;

  constructor(shared: Shared) {
    this.#shared = shared;
  }

  /** Nothing is sent beside a plan that was asked for. Throws what a ping throws. */
  async beside({ plan, choice, workload, goal }: Planned): Promise<void> {
    const { knowledge, link, parts } = this.#shared;
    if (plan.kind !== 'local') {
      this.#unasked = 0;
      this.#unseen = 0;
      return;
    }
    this.#unasked += 1;
    this.#unseen += 1;
    if (choice !== 'auto' || link?.state !== 'up' || this.#isLooking) return;
    const now = parts.clock.now();
    const believed = knowledge.link;
    const input = planningInput(this.#shared, workload, 'auto', [], goal);
    const send = (upBytes: number) =>
      sendProbe({ upBytes, downBytes: 0 }, (reply, padding) => link.ping(reply, padding));
    const { maxBytesUp } = goal;
    let bytes = planGlance(believed, this.#glances, { now, maxBytesUp, requests: this.#unseen });
    if (bytes !== undefined && !hopesForEndpoint(input)) bytes = undefined;
    let isOther = false;
    if (bytes === undefined) {
      if (
        !isPingDue(believed, this.#pings, now, this.#unasked) ||
        !hopesForEndpoint(input, OTHER_LINK_GAIN, true)
      )
        return;
      this.#pings = { at: now, inVain: this.#pings.inVain + 1 };
      this.#unasked = 0;
      isOther = await this.#alone(
        async () =>
          isOtherLink(believed, await send(pingBytes(believed, now, maxBytesUp)), now) ||
          isRateGuessed(believed),
      );
      if (!isOther) return;
      this.#pings = { at: now, inVain: 0 };
      bytes = planGlance(believed, this.#glances, { now, maxBytesUp, isOther });
      if (bytes === undefined) return;
    }
    await this.#alone(() => this.#glance(bytes, isOther, send));
  }

  /** Nothing is looked at twice at once. */
  async #alone<T>(look: () => Promise<T>): Promise<T> {
    this.#isLooking = true;
    try {
      return await look();
    } finally {
      this.#isLooking = false;
    }
  }

  async #glance(
    bytes: number,
    isOther: boolean,
    send: (upBytes: number) => Promise<readonly LinkObservation[]>,
  ): Promise<void> {
    const { knowledge, parts } = this.#shared;
    const now = parts.clock.now();
    const believed = knowledge.link;
    this.#unasked = 0;
    this.#unseen = 0;
    // What is sent counts although it fails.
    let told = { now, bytes, isNews: false };
    try {
      let seen = await send(bytes);
      if (isOther || isNews(believed, seen, now)) {
        told = { now, bytes: 2 * bytes, isNews: true };
        seen = [...seen, ...(await send(bytes))];
      }
      const after = parts.clock.now();
      // Nothing that was seen of the old link says anything of another one.
      knowledge.link = isOther ? observeAll(NEW_LINK, seen, after) : afterGlance(knowledge.link, seen, after);
    } finally {
      this.#glances = noteGlance(this.#glances, told);
    }
  }
}
