/** The worker's side: does what it is asked with a runner, and reads files by asking for them. */
import { setTimeout as delay } from 'node:timers/promises';
import { fromWireError, toWireError } from '../../errors.ts';
import type { Manifest } from '../../package/manifest.ts';
import type { LoopPass } from '../../runtime/lane.ts';
import type { PackageSource, SpanRunner } from '../../runtime/runner.ts';
import { compact } from './compact.ts';
import { LaneShelf } from './lane-shelf.ts';
import type { Call, FromWorker, Port, ToWorker } from './messages.ts';

/** Ms that calls under way are waited for at the end: more than a long prompt takes; what hangs must not keep an endpoint from stopping. */
const CLOSE_WAIT_MS = 5_000;

interface Reading {
  readonly resolve: (bytes: Uint8Array) => void;
  readonly reject: (error: Error) => void;
}

export function serveRunner(
  port: Port<FromWorker, ToWorker>,
  manifest: Manifest,
  createRunner: (source: PackageSource) => SpanRunner,
): void {
  const readings = new Map<number, Reading>();
  const aborts = new Map<number, AbortController>();
  /** Calls under way. */
  const open = new Set<Promise<void>>();
  let nextRead = 1;
  const runner = createRunner({
    read: (path) =>
      new Promise((resolve, reject) => {
        const id = nextRead;
        nextRead += 1;
        readings.set(id, { resolve, reject });
        port.postMessage({ kind: 'read', id, path }, []);
      }),
  });

  const lanes = new LaneShelf(manifest, runner);

  /** Runs what an `abort` with the call's id can end. */
  const abortable = async <T>(id: number, run: (signal: AbortSignal) => Promise<T>): Promise<T> => {
    const abort = new AbortController();
    aborts.set(id, abort);
    try {
      return await run(abort.signal);
    } finally {
      aborts.delete(id);
    }
  };

  const work = async (call: Call): Promise<void> => {
    const { id } = call;
    switch (call.name) {
      case 'run': {
        const { outputs, ms } = await runner.run(call.argument);
        const { tensors, transfer } = compact(outputs);
        port.postMessage({ kind: 'result', id, value: { outputs: tensors, ms } }, transfer);
        return;
      }
      case 'load':
        await abortable(id, (signal) =>
          runner.load(call.argument, {
            signal,
            onProgress: (done, total) => port.postMessage({ kind: 'progress', id, done, total }, []),
          }),
        );
        break;
      case 'unload':
        await runner.unload(call.argument);
        break;
      case 'openState':
        port.postMessage({ kind: 'result', id, value: await runner.openState() }, []);
        return;
      case 'closeState':
        await runner.closeState(call.argument);
        break;
      case 'forward': {
        const { lane, request } = call.argument;
        const result = await abortable(id, (signal) => lanes.get(lane).forward(request, { signal }));
        const { tensors, transfer } = compact(result.tensors);
        port.postMessage({ kind: 'result', id, value: { ...result, tensors } }, transfer);
        return;
      }
      case 'loop': {
        const { lane, request } = call.argument;
        const onPass = (pass: LoopPass): void => port.postMessage({ kind: 'pass', id, pass }, []);
        const value = await abortable(id, (signal) => lanes.get(lane).loop(request, { signal, onPass }));
        port.postMessage({ kind: 'result', id, value }, []);
        return;
      }
      case 'readState': {
        const { lane, span, from, to } = call.argument;
        const { tensors, transfer } = compact(await lanes.get(lane).readState(span, from, to));
        port.postMessage({ kind: 'result', id, value: tensors }, transfer);
        return;
      }
      case 'writeState': {
        const { lane, span, from, tensors } = call.argument;
        await lanes.get(lane).writeState(span, from, tensors);
        break;
      }
      case 'closeLane':
        await lanes.close(call.argument);
        break;
      case 'close': {
        // The thread ends behind the answer, and native code that has no thread to return to ends the whole process.
        const others = [...open];
        for (const abort of aborts.values()) abort.abort();
        await Promise.race([Promise.all(others), delay(CLOSE_WAIT_MS, undefined, { ref: false })]);
        await runner.close();
        break;
      }
    }
    port.postMessage({ kind: 'result', id, value: undefined }, []);
  };

  port.on('message', (message) => {
    if (message.kind === 'call') {
      const working = work(message)
        .catch((error: unknown) => {
          port.postMessage({ kind: 'failure', id: message.id, error: toWireError(error, 'run-failed') }, []);
        })
        .finally(() => open.delete(working));
      open.add(working);
    } else if (message.kind === 'abort') {
      aborts.get(message.id)?.abort();
    } else {
      const reading = readings.get(message.id);
      readings.delete(message.id);
      if (message.kind === 'file') reading?.resolve(message.bytes);
      else reading?.reject(fromWireError(message.error));
    }
  });
}
