/** The first words with an endpoint: a connection, and a look at the link while it is new. */
import { isIsthmusError } from '../errors.ts';
import { NEW_LINK } from '../link/estimator.ts';
import { type Idleness, planProbe, sendProbe } from '../link/probe.ts';
import type { EndpointLink } from './endpoint-link.ts';
import type { Shared } from './parts.ts';

/** Connects. Failure is a state, not an error. */
export async function reachEndpoint(link: EndpointLink): Promise<void> {
  try {
    await link.ready();
  } catch (error) {
    if (!isIsthmusError(error)) throw error;
  }
}

/** Connects, and measures the link when it is new. Failure is a state, not an error. */
export async function meetEndpoint(shared: Shared): Promise<void> {
  const { link } = shared;
  if (link === undefined) return;
  try {
    await link.ready();
    if (shared.knowledge.link === NEW_LINK) await probeLink(link, shared, { quietMs: Infinity, probes: 0 });
  } catch (error) {
    if (!isIsthmusError(error)) throw error;
  }
}

/** Looks at the link where so much idleness calls for it. Throws what a ping throws. */
export async function probeLink(
  link: EndpointLink,
  { knowledge, parts }: Shared,
  idleness: Idleness,
): Promise<void> {
  const planned = planProbe(knowledge.link, idleness, parts.clock.now());
  if (planned === undefined) return;
  const ping = (replyBytes: number, padding: Uint8Array): Promise<number> => link.ping(replyBytes, padding);
  for (const observation of await sendProbe(planned, ping)) knowledge.observeLink(observation);
}
