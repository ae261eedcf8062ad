/**
 * Which blocks of a text model are ready on the device. One session per block, so that a cut can move
 * without building anything twice; a lane chains them.
 */
import type { Clock } from '../../core/clock.ts';
import type { Segment, Span } from '../../core/span.ts';
import type { Manifest } from '../../package/manifest.ts';
import { graphFile, stageAt } from '../../package/segments.ts';
import type { DeviceRunner, LoadOptions } from '../../runtime/runner.ts';

/** Before a build was seen: 100 MB a second. */
const PRIOR_BUILD_MS_PER_BYTE = 1e-5;

const LEARNING_RATE = 0.3;

export class DeviceBlocks {
  readonly #manifest: Manifest;
  readonly #clock: Clock;
  readonly #built = new Set<number>();
  #msPerByte = PRIOR_BUILD_MS_PER_BYTE;
  /** Of the runner that they were loaded on: another runner has none of them. */
  #runner: DeviceRunner | undefined;
  #loading = new Map<number, Promise<void>>();
  #missing: readonly number[] = [];

  constructor(manifest: Manifest, clock: Clock) {
    this.#manifest = manifest;
    this.#clock = clock;
  }

  /** Builds what is not built of a span, in order. Throws what loading throws. */
  async load(runner: DeviceRunner, span: Span, options: LoadOptions = {}): Promise<void> {
    if (this.#runner !== runner) {
      this.#runner = runner;
      this.#loading = new Map();
      this.#built.clear();
    }
    const loading = this.#loading;
    for (let block = span.from; block < span.to; block += 1) {
      let mine = loading.get(block);
      if (mine === undefined) {
        mine = this.#build(runner, block, options);
        loading.set(block, mine);
        mine.catch(() => loading.delete(block));
      }
      await mine;
    }
  }

  /** Expected ms to build what of a span is not built, its weights being here. */
  buildMs({ from, to }: Span): number {
    let bytes = 0;
    for (let block = from; block < to; block += 1) {
      if (!this.#built.has(block)) bytes += this.#manifest.blocks[block]?.weightBytes ?? 0;
    }
    return bytes * this.#msPerByte;
  }

  async #build(runner: DeviceRunner, block: number, options: LoadOptions): Promise<void> {
    const here = this.#missing[block] === 0;
    const began = this.#clock.now();
    await runner.load(this.#segment(block), options);
    this.#built.add(block);
    const bytes = this.#manifest.blocks[block]?.weightBytes ?? 0;
    // A build that had to wait for the network says nothing of builds.
    if (!here || bytes === 0) return;
    this.#msPerByte += LEARNING_RATE * ((this.#clock.now() - began) / bytes - this.#msPerByte);
  }

  /** Looks up what each block lacks on this device. */
  async refresh(runner: DeviceRunner): Promise<void> {
    const missing: number[] = [];
    for (const { index } of this.#manifest.blocks) {
      // What was found here once stays; a text whose weights arrive asks this for every file.
      missing.push(this.#missing[index] === 0 ? 0 : await runner.missingBytes(this.files(index)));
    }
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
