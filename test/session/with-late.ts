/** Sessions whose clock, waits and stalls belong to the test. */
import { systemClock } from '../../src/core/clock.ts';
import type { OpenedPackage } from '../../src/package/node/open-package.ts';
import type { NodeDeviceOptions } from '../fixtures/node-device.ts';
import { isUp, open, paced, type Setup, startEndpoint, until, Wire } from './with-session.ts';

/** Shorter than any wait for a silent endpoint: only a hedge waits for so little in a request. */
const SHORTER_THAN_SILENCE_MS = 4_999;

/** Something that stops at its `at`th piece of work, from when it is armed until it is let go. */
export class Stall {
  at = -1;
  count = 0;
  isStalled = false;
  /** What a piece throws in the place of being done. */
  failure: Error | undefined;
  #letGo: () => void = () => undefined;

  arm(at: number): void {
    Object.assign(this, { at, count: 0, isStalled: false });
  }

  letGo(): void {
    this.at = -1;
    this.#letGo();
  }

  async pass(): Promise<void> {
    if (this.failure !== undefined && this.at >= 0 && this.count >= this.at) throw this.failure;
    const at = this.count;
    this.count += 1;
    if (at !== this.at) return;
    this.isStalled = true;
    await new Promise<void>((resolve) => {
      this.#letGo = resolve;
    });
    this.isStalled = false;
  }
}

export interface LateSetup extends Setup {
  /** Ms that the clock goes on with each frame that comes. */
  readonly frameMs?: number;
  /** What the device says that each run took. */
  readonly runMs: number;
}

export async function openLate(pkg: OpenedPackage, { frameMs = 0, runMs, ...setup }: LateSetup) {
  const there = new Stall();
  const here = new Stall();
  const endpoint = await startEndpoint(pkg, { createRunner: paced(() => there.pass()) });
  let offset = 0;
  const waits: { readonly ms: number; readonly end: AbortController }[] = [];
  const wire = new Wire();
  const connect = wire.connect(() => endpoint.port);
  const device: NodeDeviceOptions = { reportMs: () => runMs, beforeRun: () => here.pass() };
  const opened = await open(pkg, {
    device,
    connect: async (options) => {
      const connection = await connect(options);
      return {
        get buffered() {
          return connection.buffered;
        },
        send: (frame) => connection.send(frame),
        onFrame: (handler) =>
          connection.onFrame((frame) => {
            offset += frameMs;
            handler(frame);
          }),
        onClose: (handler) => connection.onClose(handler),
        close: () => connection.close(),
      };
    },
    clock: { now: () => systemClock.now() + offset, epoch: () => systemClock.epoch() },
    parts: {
      timeout: (ms) => {
        const end = new AbortController();
        waits.push({ ms, end });
        return end.signal;
      },
    },
    ...setup,
  });
  await opened.seen(isUp);
  /** Time passes while `stall` holds, and every wait of a hedge is over. */
  const late = async (stall: Stall): Promise<void> => {
    await until(() => stall.isStalled);
    offset += 60_000;
    for (const { ms, end } of waits) if (ms <= SHORTER_THAN_SILENCE_MS) end.abort();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { ...opened, endpoint, there, here, late, wire };
}
