/** The worker's side: does what it is asked with a runner, and reads files by asking for them. */
import { fromWireError, toWireError } from '../../errors.ts';
import type { PackageSource, SpanRunner } from '../../runtime/runner.ts';
import { compact } from './compact.ts';
import type { Call, FromWorker, Port, ToWorker } from './messages.ts';

interface Reading {
  readonly resolve: (bytes: Uint8Array) => void;
  readonly reject: (error: Error) => void;
}

export function serveRunner(
  port: Port<FromWorker, ToWorker>,
  createRunner: (source: PackageSource) => SpanRunner,
): void {
  const readings = new Map<number, Reading>();
  const loads = new Map<number, AbortController>();
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

  const load = async (id: number, call: Extract<Call, { name: 'load' }>): Promise<undefined> => {
    const abort = new AbortController();
    loads.set(id, abort);
    try {
      await runner.load(call.argument, {
        signal: abort.signal,
        onProgress: (done, total) => port.postMessage({ kind: 'progress', id, done, total }, []),
      });
    } finally {
      loads.delete(id);
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
        await load(id, call);
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
      case 'close':
        await runner.close();
        break;
    }
    port.postMessage({ kind: 'result', id, value: undefined }, []);
  };

  port.on('message', (message) => {
    if (message.kind === 'call') {
      work(message).catch((error: unknown) => {
        port.postMessage({ kind: 'failure', id: message.id, error: toWireError(error, 'run-failed') }, []);
      });
    } else if (message.kind === 'abort') {
      loads.get(message.id)?.abort();
    } else {
      const reading = readings.get(message.id);
      readings.delete(message.id);
      if (message.kind === 'file') reading?.resolve(message.bytes);
      else reading?.reject(fromWireError(message.error));
    }
  });
}
