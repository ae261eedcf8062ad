/** What a browser tells of its device, and the way to the endpoint, for sessions whose user shares experience. */
import { type DeviceFacts, fleetClass } from '../fleet/device-class.ts';
import { MAX_FLEET_BYTES } from '../fleet/messages.ts';
import type { FleetAccess } from '../session/parts.ts';
import { exchangeSmall } from '../transport/http-small.ts';

/** What some browsers tell beside what the types know. */
interface MoreFacts {
  readonly deviceMemory?: number;
  readonly userAgentData?: { readonly mobile?: boolean };
}

/** @param endpoint its base URL, absolute */
export function fleetAccess(endpoint: string, threads: number): FleetAccess {
  const base = endpoint.replace(/\/+$/, '');
  return {
    deviceClass: fleetClass(factsOf(navigator, threads)),
    exchange: (path, options) =>
      exchangeSmall(`${base}${path}`, {
        fetch: (...args) => fetch(...args),
        limit: MAX_FLEET_BYTES,
        ...options,
      }),
    word: () => crypto.getRandomValues(new Uint32Array(1))[0] ?? 0,
  };
}

function factsOf(told: Navigator & MoreFacts, threads: number): DeviceFacts {
  const { deviceMemory } = told;
  return {
    mobile: told.userAgentData?.mobile ?? /Mobi|Android/.test(told.userAgent),
    threads,
    cores: told.hardwareConcurrency || 2,
    ...(deviceMemory === undefined ? {} : { memoryGb: deviceMemory }),
  };
}
