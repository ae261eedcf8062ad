/** A runner and its worker's side in this process, with a real channel between them. */
import { MessageChannel } from 'node:worker_threads';
import { onTestFinished } from 'vitest';
import type { FromWorker, ToWorker } from '../../../src/endpoint/worker/messages.ts';
import { RemoteRunner } from '../../../src/endpoint/worker/remote-runner.ts';
import { serveRunner } from '../../../src/endpoint/worker/serve-runner.ts';
import type { Manifest } from '../../../src/package/manifest.ts';
import { createNodeRunner } from '../../../src/runtime/node/ort-node.ts';
import type { PackageSource, SpanRunner } from '../../../src/runtime/runner.ts';

export function joined(
  manifest: Manifest,
  source: PackageSource,
  create: (source: PackageSource) => SpanRunner = (remote) => createNodeRunner(manifest, remote),
) {
  const { port1, port2 } = new MessageChannel();
  serveRunner(
    {
      postMessage: (message: FromWorker, transfer) => port2.postMessage(message, transfer),
      on: (event, handler) => port2.on(event, handler),
    },
    manifest,
    create,
  );
  const ends: string[] = [];
  const runner = new RemoteRunner({
    port: {
      postMessage: (message: ToWorker, transfer) => port1.postMessage(message, transfer),
      on: (event, handler) => port1.on(event, handler),
    },
    source,
    threads: 1,
    end: async () => {
      ends.push('ended');
      port1.close();
    },
  });
  onTestFinished(() => {
    port1.close();
    port2.close();
  });
  return { runner, ends };
}
