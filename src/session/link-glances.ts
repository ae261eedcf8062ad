/** Looks at the link beside requests that run here alone (`link/glance`), where it could change the plan. */
import { afterGlance, isNews, NO_GLANCES, noteGlance, planGlance } from '../link/glance.ts';
import { sendProbe } from '../link/probe.ts';
import { hopesForEndpoint } from '../planner/hope.ts';
import type { Shared } from './parts.ts';
import { planningInput } from './planning.ts';
import type { Planned } from './request.ts';

export class LinkGlances {
  readonly #shared: Shared;
  #glances = NO_GLANCES;
  #isLooking = false;

  constructor(shared: Shared) {
    this.#shared = shared;
  }

  /** Nothing is sent beside a plan that was asked for. Throws what a ping throws. */
  async beside({ plan, choice, workload, goal }: Planned): Promise<void> {
    const { knowledge, link, parts } = this.#shared;
    if (plan.kind !== 'local' || choice !== 'auto' || link?.state !== 'up' || this.#isLooking) return;
    const now = parts.clock.now();
    const believed = knowledge.link;
    const bytes = planGlance(believed, this.#glances, { now, maxBytesUp: goal.maxBytesUp });
    if (bytes === undefined) return;
    if (!hopesForEndpoint(planningInput(this.#shared, workload, 'auto', [], goal))) return;
    this.#isLooking = true;
    // What is sent counts although it fails.
    let told = { now, bytes, isNews: false };
    try {
      const look = () =>
        sendProbe({ upBytes: bytes, downBytes: 0 }, (reply, padding) => link.ping(reply, padding));
      let seen = await look();
      if (isNews(believed, seen, now)) {
        told = { now, bytes: 2 * bytes, isNews: true };
        seen = [...seen, ...(await look())];
      }
      knowledge.link = afterGlance(knowledge.link, seen, parts.clock.now());
    } finally {
      this.#glances = noteGlance(this.#glances, told);
      this.#isLooking = false;
    }
  }
}
