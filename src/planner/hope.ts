/** Whether it matters to know what lies between better than it is known. Pure. */
import { scaleSide } from '../device/prior.ts';
import { type ChooseInput, choosePlan } from './choose.ts';
import { SEEN } from './doubt.ts';

/** A link, or a wait, that is better by this much is worth looking for; changes of less cost little. */
const HOPED_GAIN = 2;

/**
 * Whether another plan than all here would be taken, were the endpoint so many times nearer; one that never answered this
 * session may be as many times faster, too: what it answers to a ping tells more.
 * @param isPaceOpen the endpoint may be as many times faster in any case: what it told of itself was long ago, when its
 *   machine may have been busy, and whoever does not ask again never hears of it
 */
export function hopesForEndpoint(input: ChooseInput, gain = HOPED_GAIN, isPaceOpen = false): boolean {
  const { link, endpoint } = input;
  if (endpoint === undefined) return false;
  const { side } = endpoint;
  const isSeen = !isPaceOpen && side.confidence >= SEEN.endpoint;
  const better: ChooseInput = {
    ...input,
    link: {
      ...link,
      rttMs: link.rttMs / gain,
      upBytesPerSecond: link.upBytesPerSecond * gain,
      downBytesPerSecond: link.downBytesPerSecond * gain,
    },
    endpoint: {
      side: isSeen ? side : scaleSide(side, 1 / gain, side),
      queueMs: endpoint.queueMs / gain,
    },
  };
  return choosePlan(better).chosen.kind !== 'local';
}
