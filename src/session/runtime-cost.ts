/** What a plan waits for before anything can run on a device whose runtime has not started. Pure. */
import type { ExecutionProvider } from '../runtime/runner.ts';
import type { RuntimeState } from './runtime-starts.ts';

/** Bytes of onnxruntime-web's WASM (1.30), which is most of what comes. Nothing has to come where it is native. */
const RUNTIME_BYTES: Readonly<Record<ExecutionProvider, number>> = { wasm: 14e6, webgpu: 27e6, cpu: 0 };

/** Ms to compile it and to run a first graph, on a laptop's core. Only a guess is needed: it counts once. */
const START_MS = 500;

export function runtimeMs(
  state: RuntimeState,
  provider: ExecutionProvider,
  { isCached, downBytesPerSecond }: { readonly isCached: boolean; readonly downBytesPerSecond: number },
): number {
  if (state === 'started' || provider === 'cpu') return 0;
  const fetchMs = isCached ? 0 : (1000 * RUNTIME_BYTES[provider]) / downBytesPerSecond;
  return START_MS + fetchMs;
}
