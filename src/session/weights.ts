/** Weights on their way to the device: in the background, or because the user asked. */
import { isAskedAtOnce } from './first-measurement.ts';
import type { Shared } from './parts.ts';
import { rehearse } from './rehearse.ts';
import type { Turns } from './turns.ts';
import { fired, inBackground } from './waiting.ts';

/** Ms that a first text may keep weights waiting: a longer one is worth a move, and whoever is that slow may end. */
export const MAX_HOLD_MS = 3_000;

/** Ms more, where all weights would come too late for what is left of it, and would only make it late. */
const MAX_MORE_MS = 7_000;

export interface FirstText {
  /** Fires when it has ended. */
  readonly spoken: AbortSignal;
  /** Ms that it may yet take. */
  leftMs(): number;
}

export class Weights {
  readonly #shared: Shared;
  readonly #turns: Turns;
  readonly #onArrived: () => Promise<void>;
  readonly #firstText: FirstText;
  #ahead: Promise<void> | undefined;
  #isBuilt = false;

  /** @param onArrived called after each file that is fetched ahead, and when all are here */
  constructor(shared: Shared, turns: Turns, firstText: FirstText, onArrived: () => Promise<void>) {
    this.#shared = shared;
    this.#turns = turns;
    this.#firstText = firstText;
    this.#onArrived = onArrived;
  }

  /**
   * Fetches all weights file by file, standing back while a request needs the link, then builds. May be
   * called again whenever there is new hope, e.g. when the endpoint is back.
   */
  async fetchAhead(signal: AbortSignal): Promise<void> {
    if (this.#shared.options.prefetch === false || this.#isBuilt) return;
    this.#ahead ??= this.#fetch(signal).finally(() => {
      this.#ahead = undefined;
    });
    await this.#ahead;
  }

  async #fetch(signal: AbortSignal): Promise<void> {
    const { device, parts } = this.#shared;
    if (parts.manifest.text !== undefined) return this.#fetchBesideText(signal);
    for (const file of device.files(this.#blocks)) {
      await this.#turns.idle();
      if (signal.aborted) return;
      await device.use((runner) => runner.fetchFiles([file], { signal }));
      await this.refresh();
    }
    await this.#turns.idle();
    await device.executor(this.#blocks, { signal });
    this.#isBuilt = true;
    await device.settled(signal);
    await this.#turns.take(() => rehearse(this.#shared, signal), signal);
  }

  /**
   * A text is tokens on the link and leaves it idle: its weights come beside it, so that it can move over.
   * Blocks are built when a plan needs them, and a text's first tokens are its rehearsal.
   */
  async #fetchBesideText(signal: AbortSignal): Promise<void> {
    const { device, parts } = this.#shared;
    const first = Object.values(parts.manifest.tokenizer ?? {});
    const fetchFirst = (): Promise<void> => device.use((runner) => runner.fetchFiles(first, { signal }));
    // A prompt cannot be read without its tokenizer, unless the endpoint does it; weights beside it would make it late.
    if (parts.farWords === undefined) await fetchFirst();
    await this.#behindFirstText(signal);
    await fetchFirst();
    // One that cannot start is told by the first call that needs it.
    device.start().catch(() => undefined);
    // What follows from a file is not waited for by the next one: the link would lie idle meanwhile. Two at once would fill
    // it no better, and have a token wait behind twice as much.
    let noted = Promise.resolve();
    for (const file of device.files(this.#blocks)) {
      if (signal.aborted) break;
      await device.use((runner) => runner.fetchFiles([file], { signal }));
      noted = noted.then(() => this.refresh([file])).then(this.#onArrived);
      // Told below; until then it must not be unheard.
      noted.catch(() => undefined);
    }
    await noted;
    this.#isBuilt = !signal.aborted;
  }

  /**
   * Resolves when a text that was asked for at once has ended or has taken a while, or soon where none was asked for: what
   * the device does with weights beside a short one makes it late, and comes too late for it.
   */
  async #behindFirstText(signal: AbortSignal): Promise<void> {
    const { link, options, timeout } = this.#shared;
    // Who has nobody else to ask needs the weights for it.
    if (link === undefined || link.state === 'down' || options.plan === 'local') return;
    if (!(await isAskedAtOnce(this.#shared, this.#turns, signal))) return;
    const spoken = fired(this.#firstText.spoken).then(() => this.#turns.idle());
    const over = Promise.race([spoken, fired(signal)]).then(() => true);
    const isOverWithin = (ms: number): Promise<boolean> =>
      Promise.race([over, fired(timeout(ms)).then(() => false)]);
    if (await isOverWithin(MAX_HOLD_MS)) return;
    if (this.#fetchMs() > this.#firstText.leftMs()) await isOverWithin(MAX_MORE_MS);
  }

  /** Ms until all weights could be here. */
  #fetchMs(): number {
    const { device, knowledge } = this.#shared;
    return (1000 * device.missingBytes(this.#blocks)) / knowledge.estimateLink().downBytesPerSecond;
  }

  /** Fetches all weights at once. */
  async fetchAll(signal: AbortSignal | undefined): Promise<void> {
    const { device, emit } = this.#shared;
    const total = this.#wholeBytes();
    await device.refreshMissing();
    const held = total - device.missingBytes(this.#blocks);
    await device.use((runner) =>
      runner.fetchFiles(device.files(this.#blocks), {
        onProgress: (done) => emit({ type: 'weights', done: held + done, total }),
        ...(signal === undefined ? {} : { signal }),
      }),
    );
    await this.refresh();
    // Nothing runs without it either.
    await device.start(signal);
    inBackground(this.#onArrived());
  }

  /** Looks up what is here, and says so. */
  async refresh(files?: readonly string[]): Promise<void> {
    const { device, emit } = this.#shared;
    await device.refreshMissing(files);
    const total = this.#wholeBytes();
    emit({ type: 'weights', done: total - device.missingBytes(this.#blocks), total });
  }

  get #blocks(): number {
    return this.#shared.parts.manifest.blocks.length;
  }

  /** Bytes of everything that `local` needs. */
  #wholeBytes(): number {
    const { device, parts } = this.#shared;
    return device
      .files(this.#blocks)
      .reduce((sum, file) => sum + (parts.manifest.files[file]?.bytes ?? 0), 0);
  }
}
