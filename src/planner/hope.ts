/** Whether it matters to know what lies between better than it is known. Pure. */
import { type ChooseInput, choosePlan } from './choose.ts';

/** A link, or a wait, that is better by this much is worth looking for; changes of less cost little. */
const HOPED_GAIN = 2;

/** Whether another plan than all here would be taken, were the endpoint that much nearer. */
export function hopesForEndpoint(input: ChooseInput): boolean {
  const { link, endpoint } = input;
  if (endpoint === undefined) return false;
  const better: ChooseInput = {
    ...input,
    link: {
      ...link,
      rttMs: link.rttMs / HOPED_GAIN,
      upBytesPerSecond: link.upBytesPerSecond * HOPED_GAIN,
      downBytesPerSecond: link.downBytesPerSecond * HOPED_GAIN,
    },
    endpoint: { ...endpoint, queueMs: endpoint.queueMs / HOPED_GAIN },
  };
  return choosePlan(better).chosen.kind !== 'local';
}
