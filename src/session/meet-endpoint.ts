/** The first words with an endpoint: a connection, and a look at the link while it is new. */
import { isIsthmusError } from '../errors.ts';
import { NEW_LINK } from '../link/estimator.ts';
import { type Idleness, planProbe, sendProbe } from '../link/probe.ts';
import type { EndpointLink } from './endpoint-link.ts';
import type { Shared } from './parts.ts';
import { delay, inBackground, orAborted } from './waiting.ts';

/** A first connection is worth a moment. */
const FIRST_CONNECT_WAIT_MS = 1_500;

/** Connects. Failure is a state, not an error. */
export async function reachEndpoint(link: EndpointLink): Promise<void> {
  try {
    await link.ready();
  } catch (error) {
    if (!isIsthmusError(error)) throw error;
  }
}

/**
 * Connects, and measures the link when it is new. Failure is a state, not an error.
 * @param free resolves when the line may be looked at
 */
export async function meetEndpoint(shared: Shared, free?: () => Promise<void>): Promise<void> {
  const { link } = shared;
  if (link === undefined) return;
  try {
    await link.ready();
    await free?.();
    // One that went meanwhile is looked for by who needs it.
    if (link.state !== 'up') return;
    if (shared.knowledge.link === NEW_LINK) await probeLink(link, shared, { quietMs: Infinity, probes: 0 });
  } catch (error) {
    if (!isIsthmusError(error)) throw error;
  }
}

/**
 * Before a request: an endpoint that is not there may be back. Who can do without it waits for nothing but a moment for
 * the very first connection; a page that is offline would wait for each attempt to fail, which browsers put off by
 * seconds, the longer the more often one has failed. It is looked for meanwhile, and may take over when it comes.
 * Throws `aborted`.
 *
 * @param canRunHere whether the request could run without an endpoint
 */
export async function seekEndpoint(
  shared: Shared,
  { canRunHere, signal }: { readonly canRunHere: boolean; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  const { link } = shared;
  if (link === undefined || link.state === 'up') return;
  const isFirst = link.state === 'unknown';
  if (canRunHere && !isFirst && !link.isRetryDue) return;
  // A look at the line tells where to run, and who cannot run here has no choice: it would be in the request's way.
  const met = canRunHere ? meetEndpoint(shared) : reachEndpoint(link);
  inBackground(met);
  if (!canRunHere) await orAborted(met, signal);
  else if (isFirst) await orAborted(Promise.race([met, delay(FIRST_CONNECT_WAIT_MS)]), signal);
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
