/** What a request would run as now, and what stands against every other plan. */
import { isIsthmusError } from '../errors.ts';
import { type Choice, choosePlan, pricePlans } from '../planner/choose.ts';
import type { Workload } from '../planner/types.ts';
import type { Shared } from './parts.ts';
import { endpointState, planningInput, typicalWorkload, usualWorkload } from './planning.ts';
import type { Explanation } from './types.ts';

/** @param workload default: a typical one; see `typicalWorkload` */
export async function explain(shared: Shared, workload?: Workload): Promise<Explanation> {
  const { device, knowledge, options, parts } = shared;
  await device.refreshMissing();
  const work = workload
    ? { ...usualWorkload(parts.manifest, workload.units), ...workload }
    : typicalWorkload(parts.manifest, knowledge);
  const input = planningInput(shared, work, options.plan ?? 'auto');
  const link = knowledge.estimateLink();
  const { plans } = pricePlans(input);
  let choice: Choice;
  try {
    choice = choosePlan(input);
  } catch (error) {
    const [first] = plans;
    if (first === undefined || !isIsthmusError(error)) throw error;
    choice = { chosen: first, reason: error.message, plans };
  }
  return { ...choice, link, endpoint: endpointState(shared), workload: work };
}
