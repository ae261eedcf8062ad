/** How what a player sees of calls and of the link deviates from what they truly take. */
import type { Random } from '../random.ts';

/** Deviations of the logarithm of what is seen round what is. */
const COMPUTE_DEVIATION = 0.08;
const LINK_DEVIATION = 0.12;
/** A pause now and then: another tab, garbage. */
const PAUSES = { share: 0.01, factor: 5 };

/** Of work beside which nothing else runs. */
export function steadyNoise(random: Random): number {
  return random.factor(COMPUTE_DEVIATION);
}

/** Of any other work: with pauses. */
export function computeNoise(random: Random): number {
  const pause = random.next() < PAUSES.share ? PAUSES.factor : 1;
  return random.factor(COMPUTE_DEVIATION) * pause;
}

export function linkNoise(random: Random): number {
  return random.factor(LINK_DEVIATION);
}
