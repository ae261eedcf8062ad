/**
 * What is told of a device: one of a few classes, each shared by a great many. A class rests on what every
 * page may read without asking, and takes nearly all of it away again.
 */

const KINDS = ['computer', 'phone'] as const;

/** Of WASM, up to each of these. */
const THREADS = [1, 2, 4] as const;

const SIZES = ['small', 'middle', 'large'] as const;

export type FleetClass = `${(typeof KINDS)[number]}-${(typeof THREADS)[number]}-${(typeof SIZES)[number]}`;

/** All of them, e.g. `phone-2-small`. */
export const FLEET_CLASSES: readonly FleetClass[] = KINDS.flatMap((kind) =>
  THREADS.flatMap((threads) => SIZES.map((size): FleetClass => `${kind}-${threads}-${size}`)),
);

/** Providers of browsers; what runs natively is no visitor's device. */
export const FLEET_PROVIDERS = ['wasm', 'webgpu'] as const;
export type FleetProvider = (typeof FLEET_PROVIDERS)[number];

export interface DeviceFacts {
  readonly mobile: boolean;
  /** Threads that the runtime has; says whether the page is isolated, too. */
  readonly threads: number;
  readonly cores: number;
  /** GB as browsers round it, 8 at most; absent where they do not tell. */
  readonly memoryGb?: number;
}

/** Cheap devices have up to so many cores, or so much memory; strong ones more cores than the second. */
const SMALL = { cores: 4, memoryGb: 4 };
const LARGE_CORES = 8;

export function fleetClass({ mobile, threads, cores, memoryGb }: DeviceFacts): FleetClass {
  const upTo = THREADS.find((bound) => threads <= bound) ?? 4;
  const isSmall = cores <= SMALL.cores || (memoryGb ?? Infinity) <= SMALL.memoryGb;
  const size = isSmall ? 'small' : cores > LARGE_CORES ? 'large' : 'middle';
  return `${mobile ? 'phone' : 'computer'}-${upTo}-${size}`;
}
