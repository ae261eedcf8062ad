/** Lanes on a real endpoint on the loopback, over a wire that is watched and can be cut. */
import { onTestFinished } from 'vitest';
import { systemClock } from '../../../src/core/clock.ts';
import type { EndpointOptions } from '../../../src/endpoint/endpoint.ts';
import { createEndpoint, type Endpoint } from '../../../src/endpoint/endpoint.ts';
import { EndpointLink } from '../../../src/session/endpoint-link.ts';
import {
  openRemoteLane,
  type RemoteLane,
  type RemoteLaneOptions,
} from '../../../src/session/text/remote-lane.ts';
import type { LoopPackage } from '../../runtime/loop-package.ts';
import { Wire } from '../with-session.ts';

export interface Remote {
  readonly endpoint: Endpoint;
  readonly link: EndpointLink;
  readonly wire: Wire;
  open(options?: Partial<RemoteLaneOptions>): Promise<RemoteLane>;
  /** Another client of the same endpoint. */
  another(): EndpointLink;
}

export async function startRemote(
  { manifest, source }: LoopPackage,
  options: Partial<EndpointOptions> = {},
): Promise<Remote> {
  // Nothing downloads the package's files here.
  const endpoint = await createEndpoint({
    packages: [{ manifest, source, dir: '/nowhere' }],
    maxLoadedSegments: 64,
    ...options,
  });
  onTestFinished(() => endpoint.close({ graceMs: 0 }));
  const wire = new Wire();
  const another = (): EndpointLink => {
    const link = new EndpointLink({
      connect: wire.connect(() => endpoint.port),
      clock: systemClock,
      timeout: (ms) => AbortSignal.timeout(ms),
      model: manifest.name,
      onState: () => undefined,
    });
    onTestFinished(() => link.close());
    return link;
  };
  const link = another();
  return {
    endpoint,
    link,
    wire,
    another,
    open: (more = {}) => openRemoteLane(link, { manifest, codec: 'fp32', ...more }),
  };
}
