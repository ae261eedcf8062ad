/** Both places of a text, without weights or a network; failures and moves come from the test. */
import { IsthmusError } from '../../../src/errors.ts';
import type { Manifest } from '../../../src/package/manifest.ts';
import type { Lane } from '../../../src/runtime/lane.ts';
import type { TextPlaces } from '../../../src/session/text/engine-types.ts';
import type { Leg, PlaceName } from '../../../src/session/text/route.ts';
import { FakeLane, type FakeLaneOptions } from './fake-lane.ts';

export function textManifest(blocks: number): Manifest {
  const sent = {
    name: 'h',
    dtype: 'float32',
    dims: [1, null, 2],
    bytes: { base: 0, perUnit: 8 },
    lossy: true,
  } as const;
  return {
    format: 'isthmus-package',
    version: 2,
    name: 'fake',
    stages: [
      {
        kind: 'loop',
        name: 'decoder',
        from: 0,
        to: blocks,
        graphs: { step: 'step.onnx' },
        tokenInput: { name: 'ids', dtype: 'int64', dims: [1, null] },
        logits: 'logits',
        context: [],
        states: [],
        feeds: [],
        vocabulary: 7,
      },
    ],
    blocks: Array.from({ length: blocks }, (_, index) => ({
      index,
      stage: 0,
      shards: [`${index}.bin`],
      weightBytes: 1000,
      nodes: 1,
    })),
    cuts: Array.from({ length: blocks + 1 }, (_, cut) => ({
      cut,
      crossings: cut === 0 || cut === blocks ? {} : { step: { sent: [sent], recomputed: [] } },
    })),
    files: {},
    notes: [],
  };
}

export class FakePlaces implements TextPlaces {
  readonly manifest: Manifest;
  readonly lanes: { readonly place: PlaceName; readonly lane: FakeLane }[] = [];
  missing = 0;
  /** Blocks whose weights are here; default: all or none, by `missing`. */
  here: number | undefined;
  isUp = true;
  onCall: (place: PlaceName, what: Parameters<NonNullable<FakeLaneOptions['onCall']>>[0]) => void = () =>
    undefined;
  readonly #waiting = new Set<() => void>();

  constructor(blocks: number, manifest = textManifest(blocks)) {
    this.manifest = manifest;
  }

  async openLane(place: PlaceName): Promise<Lane> {
    if (place === 'endpoint' && !this.isUp) throw new IsthmusError('endpoint-lost', 'nobody answers');
    const lane = new FakeLane({
      blocks: this.manifest.blocks.length,
      onCall: (what) => this.onCall(place, what),
      pause: () => new Promise((resolve) => setImmediate(resolve)),
    });
    this.lanes.push({ place, lane });
    return lane;
  }

  async ready(leg: Leg): Promise<void> {
    if (leg.place === 'device' && this.missing > 0 && !this.isUp) {
      throw new IsthmusError('weights-missing', 'not here');
    }
  }

  async refresh(): Promise<void> {}

  link() {
    return {
      rttMs: 20,
      upBytesPerSecond: 1e6,
      downBytesPerSecond: 1e6,
      rttSpreadMs: 1,
      confidence: 1,
    };
  }

  hasEndpoint(): boolean {
    return this.isUp;
  }

  canFetch(): boolean {
    return this.isUp;
  }

  missingBytes({ place, span }: Leg): number {
    if (this.here !== undefined) return place === 'device' && span.to > this.here ? 1e9 : 0;
    return this.missing;
  }

  blocksHere(): number {
    return this.here ?? (this.missing === 0 ? this.manifest.blocks.length : 0);
  }

  buildMs(): number {
    return 0;
  }

  changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.add(resolve);
      signal.addEventListener('abort', () => this.#waiting.delete(resolve), { once: true });
    });
  }

  change(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }

  async lost(): Promise<void> {}

  /** Tokens that endpoints were given. */
  get leaked(): readonly number[] {
    return this.lanes.flatMap(({ place, lane }) => (place === 'endpoint' ? lane.sawTokens : []));
  }
}
