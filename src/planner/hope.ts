/** Whether it matters to know what lies between better than it is known. Pure. */
import { type ChooseInput, choosePlan } from './choose.ts';

/** A link, or a wait, that is better by this much is worth looking for; changes of less cost little. */
const HOPED_GAIN = 2;

/** Whether another plan than all here would be taken, were the endpoint so many times nearer. */
export function hopesForEndpoint(input: ChooseInput, gain = HOPED_GAIN): boolean {
  const { link, endpoint } = input;
  if (endpoint === undefined) return false;
  const better: ChooseInput = {
    ...input,
    link: {
      ...link,
      rttMs: link.rttMs / gain,
      upBytesPerSecond: link.upBytesPerSecond * gain,
      downBytesPerSecond: link.downBytesPerSecond * gain,
    },
    endpoint: { ...endpoint, queueMs: endpoint.queueMs / gain },
  };
  return choosePlan(better).chosen.kind !== 'local';
}
