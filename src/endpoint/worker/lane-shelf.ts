/** The worker's lanes by the ids that the endpoint gave them. */
import type { Manifest } from '../../package/manifest.ts';
import { createLane, type LocalLane } from '../../runtime/create-lane.ts';
import { letOthersIn } from '../../runtime/node/event-loop.ts';
import type { SpanRunner } from '../../runtime/runner.ts';
import type { LaneId } from './messages.ts';

export class LaneShelf {
  readonly #manifest: Manifest;
  readonly #runner: SpanRunner;
  readonly #lanes = new Map<LaneId, LocalLane>();

  constructor(manifest: Manifest, runner: SpanRunner) {
    this.#manifest = manifest;
    this.#runner = runner;
  }

  /** Made when it is first asked for. Throws `unsupported-model`. */
  get(id: LaneId): LocalLane {
    const held = this.#lanes.get(id);
    if (held !== undefined) return held;
    const lane = createLane({ manifest: this.#manifest, runner: this.#runner, letOthersIn });
    this.#lanes.set(id, lane);
    return lane;
  }

  async close(id: LaneId): Promise<void> {
    const lane = this.#lanes.get(id);
    this.#lanes.delete(id);
    await lane?.close();
  }
}
