/** The two places of a session, as the text engine sees them. */
import type { Span } from '../../core/span.ts';
import { parseSegmentKey } from '../../device/endpoint-profile.ts';
import { IsthmusError } from '../../errors.ts';
import type { Manifest } from '../../package/manifest.ts';
import type { LinkEstimate } from '../../planner/types.ts';
import type { Lane } from '../../runtime/lane.ts';
import type { DeviceRunner } from '../../runtime/runner.ts';
import { seekEndpoint } from '../meet-endpoint.ts';
import type { Shared } from '../parts.ts';
import { orAborted } from '../waiting.ts';
import { DeviceBlocks } from './device-blocks.ts';
import type { TextPlaces } from './engine-types.ts';
import { type CallTiming, openRemoteLane, type RemoteLane } from './remote-lane.ts';
import type { Leg, PlaceName } from './route.ts';

export interface TextTraffic {
  readonly bytesUp: number;
  readonly bytesDown: number;
  readonly roundTrips: number;
}

export class SessionPlaces implements TextPlaces {
  readonly manifest: Manifest;
  readonly #shared: Shared;
  readonly #blocks: DeviceBlocks;
  /** What lanes that are gone have sent, and the lane that is there. */
  #past: TextTraffic = { bytesUp: 0, bytesDown: 0, roundTrips: 0 };
  #remote: RemoteLane | undefined;
  /** The runner on which the last device lane was opened. */
  #laneRunner: DeviceRunner | undefined;
  readonly #waiting = new Set<() => void>();
  #onTimes: (span: Span, rows: number, ms: number) => void = () => undefined;

  constructor(shared: Shared) {
    this.#shared = shared;
    this.manifest = shared.parts.manifest;
    this.#blocks = new DeviceBlocks(this.manifest, shared.parts.clock, (files) =>
      shared.device.missingOf(files),
    );
  }

  get #whole(): Span {
    return { from: 0, to: this.manifest.blocks.length };
  }

  onEndpointTimes(listener: (span: Span, rows: number, ms: number) => void): void {
    this.#onTimes = listener;
    this.#shared.knowledge.onServed(({ segment, units, ms }) => {
      const parsed = parseSegmentKey(segment);
      if (parsed?.phase === 'step') listener(parsed.segment, units, ms);
    });
  }

  async openLane(place: PlaceName, signal?: AbortSignal): Promise<Lane> {
    const { device, link } = this.#shared;
    if (place === 'device') {
      return device.use((runner) => {
        this.#laneRunner = runner;
        return runner.openLane();
      });
    }
    if (link === undefined) throw new IsthmusError('endpoint-lost', 'this session has no endpoint');
    const onTiming = ({ kind, span, rows, timing }: CallTiming): void => {
      if (kind !== 'state') this.#onTimes(span, rows, timing.queueMs + timing.computeMs);
    };
    const lane = await orAborted(
      openRemoteLane(link, { manifest: this.manifest, codec: 'fp32', onTiming }),
      signal,
    );
    if (this.#remote !== undefined) this.#past = sum(this.#past, this.#remote.traffic());
    this.#remote = lane;
    return lane;
  }

  async ready(leg: Leg, signal?: AbortSignal): Promise<void> {
    if (leg.place === 'endpoint') return;
    const options = signal === undefined ? {} : { signal };
    await this.#shared.device.use((runner) => this.#blocks.load(runner, leg.span, options));
  }

  async refresh({ plan, fallback, signal }: Parameters<TextPlaces['refresh']>[0]): Promise<void> {
    if (plan !== 'local') {
      const isAllHere = this.missingBytes({ place: 'device', span: this.#whole }) === 0;
      await seekEndpoint(this.#shared, { canRunHere: isAllHere && (plan === 'auto' || fallback), signal });
    }
    await this.#shared.device.refreshMissing();
  }

  /** Frees what moves have left behind on the device. To be called while nothing runs there. */
  tidy(): Promise<void> {
    return this.#blocks.tidy();
  }

  /** Weights came, or the endpoint did: whoever waits may look again. */
  noteChange(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }

  link(): LinkEstimate {
    return this.#shared.knowledge.estimateLink();
  }

  hasEndpoint(): boolean {
    return this.#shared.link?.state === 'up';
  }

  canFetch(): boolean {
    return this.hasEndpoint() || this.#shared.parts.weightsElsewhere;
  }

  missingBytes({ span }: Leg): number {
    return this.#blocks.missingBytes(span);
  }

  blocksHere(): number {
    return this.#blocks.here();
  }

  buildMs({ span }: Leg): number {
    return this.#blocks.buildMs(span);
  }

  changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.add(resolve);
      signal.addEventListener('abort', () => this.#waiting.delete(resolve), { once: true });
    });
  }

  async lost(place: PlaceName, error: IsthmusError): Promise<void> {
    const runner = this.#laneRunner;
    if (place === 'device' && error.code === 'worker-lost' && runner !== undefined) {
      await this.#shared.device.restart(runner);
    }
  }

  /** Of all lanes so far. */
  traffic(): TextTraffic {
    return this.#remote === undefined ? this.#past : sum(this.#past, this.#remote.traffic());
  }
}

function sum(a: TextTraffic, b: TextTraffic): TextTraffic {
  return {
    bytesUp: a.bytesUp + b.bytesUp,
    bytesDown: a.bytesDown + b.bytesDown,
    roundTrips: a.roundTrips + b.roundTrips,
  };
}
