/**
 * Isthmus's own choice of routes as a player: the session's choice, paces, link estimate and draft lengths, with a
 * virtual clock in place of lanes. The clock runs without noise; what is learned from has it.
 */
import { isIsthmusError } from '../../errors.ts';
import type { Random } from '../random.ts';
import { AnswerClock } from './answer-clock.ts';
import { DeviceLooks, landingsAfter } from './device-looks.ts';
import { NEVER, type Played } from './forced.ts';
import { type Held, rewound } from './held.ts';
import { probeLink, probeWhileQuiet } from './link-probes.ts';
import { steadyNoise } from './noise.ts';
import { PlayerState } from './player-state.ts';
import type { TextWorld } from './text-world.ts';
import type { Truth } from './truth.ts';

/** What an endpoint runs for itself when it starts (`endpoint/model-host.ts`), and so can tell of. */
const REHEARSED_ROWS = [48, 1] as const;

export class TextPlanner {
  readonly #player: PlayerState;
  readonly #looks: DeviceLooks;
  /** The request before, and when it ended, in ms since the session was opened. */
  #last: { readonly truth: Truth; readonly endedAt: number } | undefined;

  constructor(world: TextWorld, random: Random) {
    this.#player = new PlayerState(world, random);
    this.#looks = new DeviceLooks(this.#player);
  }

  get held(): Held {
    return this.#player.held;
  }

  /** The state with which the next request begins. */
  begin(truth: Truth): Held {
    const { moment } = truth;
    const player = this.#player;
    this.#idle(truth);
    player.held = rewound(player.held, moment.continues ? moment.length - moment.prompt : 0);
    player.noteBegin(moment.continues ? moment.prompt : moment.length);
    return player.held;
  }

  play(truth: Truth): Played {
    const played = this.#answer(truth);
    const endedAt = truth.moment.at + (played.ms === Infinity ? 0 : played.ms);
    this.#last = { truth, endedAt };
    if (played.deviceMs > 0) this.#looks.seen(endedAt);
    return played;
  }

  #answer(truth: Truth): Played {
    const player = this.#player;
    player.drafts.begin();
    try {
      const played = new AnswerClock(player, this.#looks, truth).run();
      player.learnAnswer(truth.moment);
      return played;
    } catch (error) {
      if (!isIsthmusError(error)) throw error;
      return NEVER;
    }
  }

  /** Between requests weights come, and device and link are looked at; the world is met as the last request left it. */
  #idle(truth: Truth): void {
    const { at, isUp } = truth.moment;
    const landed = landingsAfter(truth, -1).filter((one) => one.at <= 0).length;
    this.#looks.calibrate(truth, landed, landed < truth.blocks);
    if (this.#last === undefined) {
      if (isUp) this.#meetEndpoint(truth);
      return;
    }
    const { truth: left, endedAt } = this.#last;
    this.#looks.recheck(left, endedAt, at);
    if (isUp) probeWhileQuiet(this.#player, left, endedAt, at);
  }

  /** The link is looked at, and the endpoint tells of what it ran for itself. */
  #meetEndpoint(truth: Truth): void {
    const { paces, random } = this.#player;
    probeLink(this.#player, truth, truth.moment.at, { quietMs: Infinity, probes: 0 });
    const all = { from: 0, to: truth.blocks };
    for (const rows of REHEARSED_ROWS) {
      paces.endpoint.learn(all, rows, truth.work('endpoint', all, rows, 0, 1) * steadyNoise(random));
    }
  }
}
