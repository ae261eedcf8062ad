/** Looks at the link between requests, as the session takes them: when it plans one, seen with noise. */
import { type Idleness, MAX_IDLE_PROBES, PROBE_INTERVAL_MS, pingsOf } from '../../link/probe.ts';
import { linkNoise } from './noise.ts';
import type { PlayerState } from './player-state.ts';
import type { Truth } from './truth.ts';

/** @param at ms since the session was opened */
export function probeLink(
  player: PlayerState,
  { moment: { link } }: Truth,
  at: number,
  idleness: Idleness,
): void {
  const planned = player.planProbe(idleness, at);
  if (planned === undefined) return;
  for (const { upBytes, downBytes, seen } of pingsOf(planned)) {
    const ms =
      link.rttMs + (1000 * upBytes) / link.upBytesPerSecond + (1000 * downBytes) / link.downBytesPerSecond;
    player.learnLink(seen(ms * linkNoise(player.random)), at);
  }
}

/** All probes of a quiet time, each after twice the pause of the one before. */
export function probeWhileQuiet(player: PlayerState, truth: Truth, from: number, until: number): void {
  let at = from;
  for (let probes = 0; probes < MAX_IDLE_PROBES; probes += 1) {
    const quietMs = PROBE_INTERVAL_MS * 2 ** probes;
    at += quietMs;
    if (at > until) return;
    probeLink(player, truth, at, { quietMs, probes });
  }
}
