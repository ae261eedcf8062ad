/** Runs steps over states in the heap and through the public API. Reaches inside the library on purpose. */
import type { InferenceSession } from 'onnxruntime-common';
import type { Tensor } from '../../../src/core/tensor.ts';
import { isIsthmusError } from '../../../src/errors.ts';
import { writeModel } from '../../../src/graph/onnx-write.ts';
import { type StartedRuntime, startRuntime } from '../../../src/runtime/browser/ort-web.ts';
import { withoutSharing } from '../../../src/runtime/browser/resident-fallback.ts';
import type { ResidentHeap } from '../../../src/runtime/browser/resident-heap.ts';
import { ResidentState } from '../../../src/runtime/browser/resident-state.ts';
import { fromOrt, toOrt } from '../../../src/runtime/ort-tensor.ts';
import { OrtState } from '../../../src/runtime/state-ort.ts';
import type { StateStore } from '../../../src/runtime/state-store.ts';
import { languageModel, type PageModel, plainModel } from './models.ts';
import type { Outcome, Step } from './script.ts';

let runtime: StartedRuntime | undefined;

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

class Player {
  readonly #states = new Map<string, StateStore>();
  #copied: readonly Tensor[] = [];

  constructor(
    readonly page: PageModel,
    readonly session: InferenceSession,
    readonly started: StartedRuntime,
    readonly open: () => StateStore,
  ) {}

  async play(step: Step): Promise<string> {
    try {
      return await this.#play(step);
    } catch (error) {
      if (isIsthmusError(error)) return `${error.code}: ${error.message}`;
      return `run-failed: ${String(error)}`;
    }
  }

  async #play(step: Step): Promise<string> {
    if (step.do === 'open') {
      this.#states.set(step.state, this.open());
      return 'opened';
    }
    const store = this.#states.get(step.state);
    if (store === undefined) throw new Error(`no state '${step.state}'`);
    const positioned = this.page.entries.filter(({ growth }) => growth !== 'replace');
    if (step.do === 'run') return this.#run(store, step.position, step.values);
    if (step.do === 'read') {
      const made: Tensor[] = [];
      for (const entry of positioned) made.push(await store.read(entry, step.from, step.to));
      this.#copied = made;
      return made.map(({ dims, bytes }) => `${dims.join('x')}:${hex(bytes)}`).join(' ');
    }
    if (step.do === 'write') {
      for (const [index, entry] of positioned.entries()) {
        const rows = this.#copied[index];
        if (rows !== undefined) await store.write(entry, step.from, rows);
      }
      return 'written';
    }
    await store.close();
    this.#states.delete(step.state);
    return 'closed';
  }

  async #run(store: StateStore, position: number, values: readonly number[]): Promise<string> {
    const { Tensor } = this.started.ort;
    const { entries, output } = this.page;
    const feeds = Object.entries(this.page.feeds(position, values)).map(
      ([name, tensor]) => [name, toOrt(tensor, Tensor)] as const,
    );
    const results = await store.run({
      session: this.session,
      feeds: Object.fromEntries(feeds),
      fetches: [output],
      reads: entries,
      writes: entries,
      at: { position, rows: values.length },
    });
    const made = results[output];
    if (made === undefined) return 'nothing';
    const { dims, bytes } = fromOrt(output, made);
    return `${dims.join('x')}:${hex(bytes)}`;
  }
}

const api = {
  /** Starts the runtime; `hidden` in a page where nothing can be put on `Object.prototype`. */
  async start(threads: number, hidden: boolean): Promise<{ resident: boolean; threads: number }> {
    if (hidden) {
      const value = { value: undefined, writable: true, configurable: false };
      Object.defineProperty(Object.prototype, 'mountExternalData', value);
    }
    runtime = await startRuntime({ provider: 'wasm', threads });
    return { resident: runtime.heap !== undefined, threads: runtime.threads };
  },

  prototypeIsClean: (): boolean => !('mountExternalData' in {}),

  async play(which: 'language' | 'plain', steps: readonly Step[]): Promise<Outcome> {
    if (runtime === undefined) throw new Error('start first');
    const started = runtime;
    const page = which === 'language' ? await languageModel() : plainModel();
    const options = { executionProviders: ['wasm'] };
    const session = await started.ort.InferenceSession.create(writeModel(page.model), options);
    const { Tensor } = started.ort;
    const through = async (open: () => StateStore, after: () => void): Promise<string[]> => {
      const player = new Player(page, session, started, open);
      const trace: string[] = [];
      for (const step of steps) {
        trace.push(await player.play(step));
        after();
      }
      return trace;
    };
    const held: { tensors: number; bytes: number }[] = [];
    const { heap } = started;
    const before = heap?.heapBytes ?? 0;
    const inHeap =
      heap === undefined
        ? []
        : await through(
            () => inHeapStore(heap),
            () => held.push(heap.held),
          );
    const heapBytes = [before, heap?.heapBytes ?? 0] as const;
    const outside = await through(
      () => withoutSharing(new OrtState({ Tensor }), Tensor),
      () => undefined,
    );
    await session.release();
    return { resident: inHeap, public: outside, held, heapBytes };

    function inHeapStore(known: ResidentHeap): StateStore {
      return new ResidentState({ heap: known, Tensor });
    }
  },
};

export type ResidentApi = typeof api;

declare global {
  // `var` is what makes a property of the global object.
  var residentApi: ResidentApi;
}

globalThis.residentApi = api;
