/** The worker's side: a runner and the package it reads from. */
import { systemClock } from '../../core/clock.ts';
import { IsthmusError } from '../../errors.ts';
import type { Manifest } from '../../package/manifest.ts';
import { type LoadedPackage, loadPackage } from '../../package/source.ts';
import type { BlobStore } from '../../storage/blob-store.ts';
import { openBrowserStore } from '../../storage/browser/blob-store.ts';
import { letGo } from '../../storage/let-go.ts';
import { createLane } from '../create-lane.ts';
import { generate } from '../generate.ts';
import type { PackageSource, SegmentRunner } from '../runner.ts';
import { createLaneHost } from './lane-host.ts';
import { createMacrotask } from './macrotask.ts';
import { openRunner } from './open-runner.ts';
import { threadsHere } from './ort-web.ts';
import { type Opened, type OpenRequest, outcome, type Progress, type WorkerApi } from './worker-api.ts';
import { WorkerJobs } from './worker-jobs.ts';

/** Progress crosses to the page; oftener than this it would only cost frames. */
const PROGRESS_INTERVAL_MS = 50;

export function createWorkerHost(): WorkerApi {
  const jobs = new WorkerJobs();
  let store: BlobStore | undefined;
  let loaded: LoadedPackage | undefined;
  let runner: Promise<SegmentRunner> | undefined;
  let started: SegmentRunner | undefined;
  let goOn: () => void = () => undefined;

  const pack = (): LoadedPackage => loaded ?? notOpen();
  const running = (): Promise<SegmentRunner> => {
    goOn();
    return runner ?? notOpen();
  };
  const withJob = <T>(job: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> =>
    jobs.run(job, work);

  const open = async (request: OpenRequest, signal: AbortSignal): Promise<Opened> => {
    const { provider, threads, wasmPaths } = request;
    const hold = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const opening = (async () => {
      store = await openBrowserStore();
      loaded = await loadPackage(request.packageUrl, { store, signal });
      return loaded;
    })();
    runner = opening.then(async (pack) => {
      const paths = wasmPaths === undefined ? {} : { wasmPaths };
      started = await openRunner(pack, { provider, threads, hold, ...paths });
      return started;
    });
    // Who runs something hears of its failure; until then nobody listens.
    runner.catch(() => undefined);
    const { manifest, source, fromCache } = await opening;
    if (manifest.text === undefined || provider !== 'wasm') await running();
    else if (request.ahead) void fetchBefore(manifest.tokenizer, source).then(goOn);
    return { manifest, fromCache, threads: threadsHere(threads) };
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
      const bytes = await source.read(path, {
        signal,
        onProgress: (came) => report(done + Math.max(0, came - held), total),
      });
      // It is in the store now; who runs it reads it from there.
      letGo(bytes);
      before += missing;
      report(before, total);
    }
    progress(total, total);
  };

  const letOthersIn = createMacrotask();
  const lanes = createLaneHost({
    create: async () => {
      const mine = await running();
      return createLane({
        manifest: pack().manifest,
        runner: mine,
        loaded: () => mine.loaded(),
        letOthersIn,
      });
    },
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
        withJob(job, async (signal) => {
          const mine = await running();
          await mine.load(segment, { signal, onProgress: throttled(progress) });
        }),
      ),
    unload: (segment) => outcome(async () => (await running()).unload(segment)),
    openState: () => outcome(async () => (await running()).openState()),
    closeState: (state) => outcome(async () => (await running()).closeState(state)),
    run: (request) => outcome(async () => (await running()).run(request)),
    generate: (request, job, onToken) =>
      outcome(() =>
        withJob(job, async (signal) =>
          generate(pack().manifest, await running(), request, { onToken, signal }),
        ),
      ),
    cancel: async (job) => jobs.cancel(job),
    close: () =>
      outcome(async () => {
        jobs.cancelAll();
        // One that never started has nothing to free; ending the worker frees what is on its way.
        await started?.close();
        await store?.close();
      }),
  };
}

/** A text's first words need the tokenizer: on a slow link nothing is to come before it. */
async function fetchBefore(files: Manifest['tokenizer'], source: PackageSource): Promise<void> {
  for (const path of Object.values(files ?? {})) {
    // Whoever reads the file is told what is wrong with it.
    if (path !== undefined) await source.read(path).catch(() => undefined);
  }
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
