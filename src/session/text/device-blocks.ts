/**
 * Which blocks of a text model are ready on the device. Blocks that are first needed together share
 * sessions; when a cut moves into the middle of one, the blocks on this side of it get sessions of their
 * own. A lane chains whatever there is.
 */
import type { Clock } from '../../core/clock.ts';
import { isWithin, type Segment, type Span } from '../../core/span.ts';
import type { Manifest } from '../../package/manifest.ts';
import { graphFile, stageAt } from '../../package/segments.ts';
import { ignoreGone } from '../../runtime/ignore-gone.ts';
import type { DeviceRunner, LoadOptions } from '../../runtime/runner.ts';
import { segmentKey } from '../../runtime/segment-key.ts';
import { lackingGroups, sparedGroups } from './block-groups.ts';

/** Before a build was seen: 100 MB a second. */
const PRIOR_BUILD_MS_PER_BYTE = 1e-5;

const LEARNING_RATE = 0.3;

/** Blocks that share a session. */
interface Building extends Span {
  readonly done: Promise<void>;
}

export class DeviceBlocks {
  readonly #manifest: Manifest;
  readonly #clock: Clock;
  #msPerByte = PRIOR_BUILD_MS_PER_BYTE;
  /** Of the runner that they were loaded on: another runner has none of them. */
  #runner: DeviceRunner | undefined;
  #groups: Building[] = [];
  /** Bytes and files of spans, by their ends: every look at the plans asks for hundreds of them. */
  readonly #sizes = new Map<string, number>();
  readonly #files = new Map<string, readonly string[]>();
  readonly #missingOf: (files: readonly string[]) => number;

  /** @param missingOf bytes of files that are not on this device, as far as is known */
  constructor(manifest: Manifest, clock: Clock, missingOf: (files: readonly string[]) => number) {
    this.#manifest = manifest;
    this.#clock = clock;
    this.#missingOf = missingOf;
  }

  /** Builds what a span needs to run on its own, in order. Throws what loading throws. */
  async load(runner: DeviceRunner, span: Span, options: LoadOptions = {}): Promise<void> {
    if (this.#runner !== runner) {
      this.#runner = runner;
      this.#groups = [];
    }
    const groups = this.#groups;
    for (;;) {
      const [next] = this.#lacking(span, groups);
      if (next === undefined) break;
      await this.#begin(runner, groups, next, options);
    }
    // What others have begun.
    for (const { done } of groups.filter((group) => isWithin(group, span))) await done;
  }

  /** Frees sessions whose blocks have all been built anew in smaller ones. To be called while nothing runs. */
  async tidy(): Promise<void> {
    const runner = this.#runner;
    const groups = this.#groups;
    if (runner === undefined) return;
    for (const spared of sparedGroups(groups)) {
      groups.splice(groups.indexOf(spared), 1);
      await runner.unload(this.#segment(spared)).catch(ignoreGone);
    }
  }

  /** Expected ms to build what of a span is not built, its weights being here. */
  buildMs(span: Span): number {
    return this.#lacking(span, this.#groups).reduce(
      (ms, group) => ms + this.#bytes(group) * this.#msPerByte,
      0,
    );
  }

  #lacking(span: Span, groups: readonly Building[]): readonly Span[] {
    return lackingGroups(span, groups, (some) => this.#bytes(some));
  }

  async #begin(runner: DeviceRunner, groups: Building[], span: Span, options: LoadOptions): Promise<void> {
    const building: Building = { ...span, done: this.#build(runner, span, options) };
    groups.push(building);
    try {
      await building.done;
    } catch (error) {
      groups.splice(groups.indexOf(building), 1);
      throw error;
    }
  }

  async #build(runner: DeviceRunner, span: Span, options: LoadOptions): Promise<void> {
    const here = this.missingBytes(span) === 0;
    const began = this.#clock.now();
    await runner.load(this.#segment(span), options);
    const bytes = this.#bytes(span);
    // A build that had to wait for the network says nothing of builds.
    if (!here || bytes === 0) return;
    this.#msPerByte += LEARNING_RATE * ((this.#clock.now() - began) / bytes - this.#msPerByte);
  }

  /** Bytes that a span lacks, as far as is known. */
  missingBytes(span: Span): number {
    return this.#missingOf(this.#filesOf(span));
  }

  /** So many of the first blocks can be built now as they would be if all were here: in as few sessions. */
  here(): number {
    const all = { from: 0, to: this.#manifest.blocks.length };
    const open = this.#lacking(all, this.#groups).find((group) => this.missingBytes(group) > 0);
    return open?.from ?? all.to;
  }

  #filesOf(span: Span): readonly string[] {
    const key = segmentKey(this.#segment(span));
    const known = this.#files.get(key);
    if (known !== undefined) return known;
    const graph = graphFile(stageAt(this.#manifest, this.#segment(span).stage), 'step');
    const files = [graph, ...this.#shardsOf(span)];
    this.#files.set(key, files);
    return files;
  }

  /** Each once: blocks may share shards. */
  #shardsOf({ from, to }: Span): readonly string[] {
    return [...new Set(this.#manifest.blocks.slice(from, to).flatMap(({ shards }) => shards))];
  }

  #bytes(span: Span): number {
    const key = segmentKey(this.#segment(span));
    const known = this.#sizes.get(key);
    if (known !== undefined) return known;
    const { files } = this.#manifest;
    const bytes = this.#shardsOf(span).reduce((sum, shard) => sum + (files[shard]?.bytes ?? 0), 0);
    this.#sizes.set(key, bytes);
    return bytes;
  }

  /** Text packages have one stage. */
  #segment({ from, to }: Span): Segment {
    return { stage: this.#manifest.blocks[from]?.stage ?? 0, from, to };
  }
}
