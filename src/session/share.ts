/** Makes of a session's parts and options what its pieces share. */
import type { EndpointState } from '../planner/types.ts';
import { DeviceSide } from './device-side.ts';
import { EndpointLink } from './endpoint-link.ts';
import { Knowledge } from './knowledge.ts';
import type { OpenOptions, SessionParts, Shared } from './parts.ts';

interface Hooks {
  readonly isClosed: () => boolean;
  readonly onEndpoint: (state: EndpointState) => void;
}

export function share(parts: SessionParts, options: OpenOptions, hooks: Hooks): Shared {
  const { manifest, clock, connect, startRunner } = parts;
  const timeout = parts.timeout ?? ((ms: number) => AbortSignal.timeout(ms));
  const emit: Shared['emit'] = (event) => {
    if (!hooks.isClosed()) options.onEvent?.(event);
  };
  const knowledge = new Knowledge(manifest, parts.profiles, clock);
  const link =
    connect === undefined
      ? undefined
      : new EndpointLink({
          connect,
          clock,
          timeout,
          model: manifest.name,
          onState: hooks.onEndpoint,
          onLoad: (load) => knowledge.observeLoad(load),
        });
  return {
    parts,
    options,
    device: new DeviceSide(manifest, parts.runner, { clock, start: startRunner }),
    knowledge,
    link,
    emit,
    timeout,
  };
}
