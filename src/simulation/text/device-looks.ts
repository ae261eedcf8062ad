/**
 * The session's looks at the device as a player takes them: when its first blocks have come, when all have, and again
 * behind requests that ran elsewhere, and in the quiet behind others.
 */
import { isLookDue, recheckInMs } from '../../device/recheck.ts';
import { DeviceBelief, LOOK_BLOCKS, lookAtDevice, sizeOfLook } from '../../session/text/device-look.ts';
import { computeNoise } from './noise.ts';
import type { PlayerState } from './player-state.ts';
import type { Truth } from './truth.ts';

/** Beside arriving weights it is that much slower. */
const POURING_FACTOR = 1.3;

export class DeviceLooks {
  readonly #player: PlayerState;
  readonly #belief: DeviceBelief;
  #calibrations = 0;
  #seenAt = 0;
  #checkedAt = -Infinity;
  #checkMs = 0;
  /** Requests that ran elsewhere since the device was seen. */
  #elsewhere = 0;

  constructor(player: PlayerState) {
    this.#player = player;
    this.#belief = new DeviceBelief(player.paces.device);
  }

  /** A request that ended then ran here. */
  seen(at: number): void {
    this.#seenAt = at;
    this.#elsewhere = 0;
  }

  /** As a session does when its first blocks are here, and again when all are. */
  calibrate(truth: Truth, landed: number, isPouring: boolean): void {
    const wanted = landed >= truth.blocks ? 2 : 1;
    if (landed < LOOK_BLOCKS || this.#calibrations >= wanted) return;
    if (this.#player.paces.device.isMeasured && this.#calibrations === 0) return;
    this.#look(truth, isPouring && landed < truth.blocks ? POURING_FACTOR : 1);
    this.#calibrations = wanted;
    if (wanted > 1) this.#player.buildLikely(truth);
  }

  /** Behind a request (`session/idle.ts`); the world is met as that left it. */
  recheck(truth: Truth, ended: number, until: number): void {
    if (this.#calibrations === 0) return;
    const ranElsewhere = ended > this.#seenAt;
    if (ranElsewhere) this.#elsewhere += 1;
    const watch = {
      sinceSeenMs: ended - this.#seenAt,
      sinceCheckMs: ended - this.#checkedAt,
      isDoubted: this.#belief.isDoubted,
      checkMs: this.#checkMs,
      requests: this.#elsewhere,
    };
    const at = ranElsewhere && isLookDue(watch) ? ended : ended + recheckInMs(watch);
    if (at > until) return;
    this.#checkMs = this.#look(truth);
    this.#player.buildLikely(truth);
    this.#checkedAt = at;
    this.seen(at);
  }

  /** Ms that it took. */
  #look(truth: Truth, factor = 1): number {
    const player = this.#player;
    const size = sizeOfLook(truth.blocks, player.held.built >= truth.blocks, this.#belief.hasAnswered);
    const calls = lookAtDevice(size, true);
    let all = 0;
    let runs = player.held.runs;
    for (let next = calls.next(); ; runs += 1) {
      if (next.done) {
        this.#belief.take(next.value);
        break;
      }
      const { span, rows, position } = next.value;
      const ms = truth.work('device', span, rows, position, 0, runs) * factor * computeNoise(player.random);
      all += ms;
      next = calls.next(ms);
    }
    player.held = { ...player.held, built: Math.max(player.held.built, LOOK_BLOCKS), runs };
    return all;
  }
}

/** When more blocks come, in ms from the request, and how many are here then. */
export function landingsAfter(truth: Truth, from: number): { at: number; blocks: number }[] {
  const all: { at: number; blocks: number }[] = [];
  for (let blocks = 1; blocks <= truth.blocks; blocks += 1) {
    const at = truth.landsAt(blocks);
    if (at > from && at < Infinity) all.push({ at, blocks });
  }
  return all;
}
