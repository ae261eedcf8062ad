/**
 * Which blocks of a text model are ready on the device. One session per block, so that a cut can move
 * without building anything twice; a lane chains them.
 */
import type { Segment, Span } from '../../core/span.ts';
import type { Manifest } from '../../package/manifest.ts';
import { graphFile, stageAt } from '../../package/segments.ts';
import type { DeviceRunner, LoadOptions } from '../../runtime/runner.ts';

export class DeviceBlocks {
  readonly #manifest: Manifest;
  /** Of the runner that they were loaded on: another runner has none of them. */
  #runner: DeviceRunner | undefined;
  #loading = new Map<number, Promise<void>>();
  #missing: readonly number[] = [];

  constructor(manifest: Manifest) {
    this.#manifest = manifest;
  }

  /** Builds what is not built of a span, in order. Throws what loading throws. */
  async load(runner: DeviceRunner, span: Span, options: LoadOptions = {}): Promise<void> {
    if (this.#runner !== runner) {
      this.#runner = runner;
      this.#loading = new Map();
    }
    const loading = this.#loading;
    for (let block = span.from; block < span.to; block += 1) {
      let mine = loading.get(block);
      if (mine === undefined) {
        mine = runner.load(this.#segment(block), options);
        loading.set(block, mine);
        mine.catch(() => loading.delete(block));
      }
      await mine;
    }
  }

  /** Looks up what each block lacks on this device. */
  async refresh(runner: DeviceRunner): Promise<void> {
    const missing: number[] = [];
    for (const { index } of this.#manifest.blocks) missing.push(await runner.missingBytes(this.files(index)));
    this.#missing = missing;
  }

  /** Bytes that a span lacks, as of the last refresh. */
  missingBytes({ from, to }: Span): number {
    return this.#missing.slice(from, to).reduce((sum, bytes) => sum + bytes, 0);
  }

  files(block: number): string[] {
    const { stage, shards } = this.#manifest.blocks[block] ?? { stage: 0, shards: [] };
    return [graphFile(stageAt(this.#manifest, stage), 'step'), ...shards];
  }

  #segment(block: number): Segment {
    return { stage: this.#manifest.blocks[block]?.stage ?? 0, from: block, to: block + 1 };
  }
}
