/** What an endpoint is made of, and what can be asked of one that runs. */
import type { Clock } from '../core/clock.ts';
import type { Manifest } from '../package/manifest.ts';
import type { PackageSource } from '../runtime/runner.ts';
import type { FarWords } from '../runtime/words.ts';
import type { MetricsSnapshot } from './metrics.ts';
import type { CreateRunner } from './model-host.ts';

/** A package that was opened from a folder. */
export interface EndpointPackage {
  readonly manifest: Manifest;
  readonly source: PackageSource;
  /** Folder of its files, which clients may download. */
  readonly dir: string;
  /** For clients whose tokenizer is still on its way; without it they wait for that. */
  readonly words?: FarWords;
}

export interface EndpointOptions {
  /** At least one; their names must differ. */
  readonly packages: readonly EndpointPackage[];
  /** Address to listen on. Default `127.0.0.1`: nobody else can reach it. */
  readonly host?: string;
  /** Default 0: any that is free. */
  readonly port?: number;
  /** Folder of pages to serve at `/`. Default: none. */
  readonly staticDir?: string;
  /** PEM texts; with them the endpoint speaks HTTPS and WSS. Default: plain. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Threads of each session of the runtime. Default 1. */
  readonly threads?: number;
  /** Requests open at once, over all connections. Default `MAX_OPEN_REQUESTS`. */
  readonly maxSessions?: number;
  /** Segments of one package with sessions in memory. Default `MAX_LOADED_SEGMENTS`. */
  readonly maxLoadedSegments?: number;
  /** Decoded bytes of input to one start or step. Default `MAX_INPUT_BYTES`. */
  readonly maxInputBytes?: number;
  /** Ms that a request may wait for its next step before its state is dropped. Default `IDLE_REQUEST_MS`. */
  readonly idleRequestMs?: number;
  /** Lanes open at once, over all connections. Default `MAX_OPEN_LANES`. */
  readonly maxLanes?: number;
  /** Bytes of state in all lanes. Default `MAX_STATE_BYTES`. */
  readonly maxStateBytes?: number;
  /** Ms without a call after which a lane is dropped. Default `IDLE_LANE_MS`. */
  readonly idleLaneMs?: number;
  /**
   * Take reports of how fast devices are from clients whose users agreed, and tell new devices what came of them;
   * with a file, also after a restart. Default: none of it. Counts are kept, and nothing of who sent them.
   */
  readonly fleet?: boolean | { readonly file: string };
  /** Build the whole model's sessions at once, before anyone asks. Default true. */
  readonly warm?: boolean;
  /**
   * With `warm`: run a short request too, so that the first client hears how fast this place is. Default true.
   */
  readonly rehearse?: boolean;
  /** Default: a runner in a thread of its own, or in this one where the sources run uncompiled. */
  readonly createRunner?: CreateRunner;
  readonly clock?: Clock;
  /** Told what an operator may want to know. Default: nobody. */
  readonly log?: (line: string) => void;
}

export interface Endpoint {
  /** With the address that it listens on, without a slash at its end. */
  readonly url: string;
  readonly port: number;
  /** Requests and calls on lanes that are under way now. */
  readonly activeRequests: number;
  /** Lanes that are open now; each may hold the state of a text. */
  readonly openLanes: number;
  metrics(): MetricsSnapshot;
  /**
   * Stops: nothing new is taken, open requests get `graceMs` (default `DEFAULT_GRACE_MS`) to finish and
   * then fail with `endpoint-stopping`, sockets and runners are closed. Safe to call twice.
   */
  close(options?: { readonly graceMs?: number }): Promise<void>;
}
