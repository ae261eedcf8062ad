/** The worker's side: a runner and the package it reads from. */
import { systemClock } from '../../core/clock.ts';
import { IsthmusError } from '../../errors.ts';
import { type LoadedPackage, loadPackage } from '../../package/source.ts';
import type { BlobStore } from '../../storage/blob-store.ts';
import { openBrowserStore } from '../../storage/browser/blob-store.ts';
import { createLane } from '../create-lane.ts';
import { generate } from '../generate.ts';
import type { OrtRunner } from '../ort-runner.ts';
import { createLaneHost } from './lane-host.ts';
import { createMacrotask } from './macrotask.ts';
import { createWebRunner, startRuntime } from './ort-web.ts';
import { type Opened, type OpenRequest, outcome, type Progress, type WorkerApi } from './worker-api.ts';
import { WorkerJobs } from './worker-jobs.ts';

/** Progress crosses to the page; oftener than this it would only cost frames. */
const PROGRESS_INTERVAL_MS = 50;

export function createWorkerHost(): WorkerApi {
  const jobs = new WorkerJobs();
  let store: BlobStore | undefined;
  let loaded: LoadedPackage | undefined;
  let runner: OrtRunner | undefined;

  const pack = (): LoadedPackage => loaded ?? notOpen();
  const running = (): OrtRunner => runner ?? notOpen();
  const withJob = <T>(job: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> =>
    jobs.run(job, work);

  const open = async (request: OpenRequest, signal: AbortSignal): Promise<Opened> => {
    const { provider, threads, wasmPaths } = request;
    // Compiling the runtime takes longest on a cold start: it goes on while the manifest is fetched.
    const starting = startRuntime({ provider, threads, ...(wasmPaths === undefined ? {} : { wasmPaths }) });
    const [started] = await Promise.all([
      starting,
      (async () => {
        store = await openBrowserStore();
        loaded = await loadPackage(request.packageUrl, { store, signal });
      })(),
    ]);
    const { manifest, source, fromCache } = pack();
    runner = createWebRunner(started, { manifest, source });
    return { manifest, fromCache, threads: runner.threads, resident: started.heap !== undefined };
  };

  const fetchFiles = async (
    paths: readonly string[],
    signal: AbortSignal,
    progress: Progress,
  ): Promise<void> => {
    const { manifest, source } = pack();
    const total = await source.missingBytes(paths);
    let before = 0;
    const report = throttled(progress);
    for (const path of paths) {
      const missing = await source.missingBytes([path]);
      if (missing === 0) continue;
      const size = manifest.files[path]?.bytes ?? missing;
      const held = size - missing;
      const done = before;
      await source.read(path, {
        signal,
        onProgress: (bytes) => report(done + Math.max(0, bytes - held), total),
      });
      before += missing;
      report(before, total);
    }
    progress(total, total);
  };

  const letOthersIn = createMacrotask();
  const lanes = createLaneHost({
    create: () =>
      createLane({
        manifest: pack().manifest,
        runner: running(),
        loaded: () => running().loaded(),
        letOthersIn,
      }),
    jobs,
  });

  return {
    ...lanes,
    open: (request, job) => outcome(() => withJob(job, (signal) => open(request, signal))),
    fetchFiles: (paths, job, progress) =>
      outcome(() => withJob(job, (signal) => fetchFiles(paths, signal, progress))),
    missingBytes: (paths) => outcome(() => pack().source.missingBytes(paths)),
    readFile: (path, job) => outcome(() => withJob(job, (signal) => pack().source.read(path, { signal }))),
    load: (segment, job, progress) =>
      outcome(() =>
        withJob(job, (signal) => running().load(segment, { signal, onProgress: throttled(progress) })),
      ),
    unload: (segment) => outcome(() => running().unload(segment)),
    openState: () => outcome(() => running().openState()),
    closeState: (state) => outcome(() => running().closeState(state)),
    run: (request) => outcome(() => running().run(request)),
    generate: (request, job, onToken) =>
      outcome(() =>
        withJob(job, (signal) => generate(pack().manifest, running(), request, { onToken, signal })),
      ),
    cancel: async (job) => jobs.cancel(job),
    close: () =>
      outcome(async () => {
        jobs.cancelAll();
        await runner?.close();
        await store?.close();
      }),
  };
}

function notOpen(): never {
  throw new IsthmusError('closed', 'the worker has no open package');
}

function throttled(progress: Progress): Progress {
  let last = -Infinity;
  return (done, total) => {
    const now = systemClock.now();
    if (done < total && now - last < PROGRESS_INTERVAL_MS) return;
    last = now;
    progress(done, total);
  };
}
