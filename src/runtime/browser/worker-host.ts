/** The worker's side: a runner and the package it reads from. */
import { systemClock } from '../../core/clock.ts';
import { createMacrotask } from '../../core/macrotask.ts';
import { unlessFailed } from '../../core/unless-failed.ts';
import { IsthmusError } from '../../errors.ts';
import type { Manifest } from '../../package/manifest.ts';
import { type LoadedPackage, loadPackage } from '../../package/source.ts';
import type { BlobStore } from '../../storage/blob-store.ts';
import { openBrowserStore } from '../../storage/browser/blob-store.ts';
import { letGo } from '../../storage/let-go.ts';
import { createLane } from '../create-lane.ts';
import { generate } from '../generate.ts';
import type { SegmentRunner } from '../runner.ts';
import type { Words } from '../words.ts';
import { createLaneHost } from './lane-host.ts';
import { openRunner } from './open-runner.ts';
import { threadsHere } from './ort-web.ts';
import {
  type LentManifest,
  type Opened,
  type OpenRequest,
  outcome,
  type Progress,
  unwrap,
  type WorkerApi,
} from './worker-api.ts';
import { WorkerJobs } from './worker-jobs.ts';

/** Progress crosses to the page; oftener than this it would only cost frames. */
const PROGRESS_INTERVAL_MS = 50;

/** Opens the words of a package, which are read as its other files are. */
export type OpenWords = (pack: {
  readonly manifest: Manifest;
  readFile(path: string): Promise<Uint8Array>;
}) => Promise<Words>;

export function createWorkerHost({ openWords }: { readonly openWords: OpenWords }): WorkerApi {
  const jobs = new WorkerJobs();
  let store: BlobStore | undefined;
  let loaded: LoadedPackage | undefined;
  let started: SegmentRunner | undefined;
  let begin: () => Promise<SegmentRunner> = notOpen;

  const pack = (): LoadedPackage => loaded ?? notOpen();
  /** The runtime starts when it is first asked for: nothing of it is fetched before. */
  const running = unlessFailed(() => begin());
  const speaking = unlessFailed(() => {
    const { manifest, source } = pack();
    return openWords({ manifest, readFile: (path) => source.read(path) }).catch((cause: unknown) => {
      throw new IsthmusError('endpoint-lost', 'what reads and makes words cannot be fetched', { cause });
    });
  });
  const withJob = <T>(job: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> =>
    jobs.run(job, work);

  const open = async (request: OpenRequest, signal: AbortSignal, lent?: LentManifest): Promise<Opened> => {
    const { provider, threads, wasmPaths } = request;
    // It comes while the store is opened; its failure is told to who takes it.
    const coming = lent?.().then(unwrap);
    coming?.catch(() => undefined);
    store = await openBrowserStore();
    const manifest = coming === undefined ? {} : { manifest: () => coming };
    const opened = await loadPackage(request.packageUrl, { store, signal, ...manifest });
    loaded = opened;
    begin = async () => {
      const paths = wasmPaths === undefined ? {} : { wasmPaths };
      started = await openRunner(opened, { provider, threads, ...paths });
      return started;
    };
    return { manifest: opened.manifest, fromCache: opened.fromCache, threads: threadsHere(threads) };
  };

  const fetchFiles = async (
    paths: readonly string[],
    signal: AbortSignal,
    progress: Progress,
  ): Promise<void> => {
    const { manifest, source } = pack();
    const total = (await source.missingBytes(paths)).reduce((sum, bytes) => sum + bytes, 0);
    let before = 0;
    const report = throttled(progress);
    for (const path of paths) {
      const [missing = 0] = await source.missingBytes([path]);
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
    open: (request, job, lent) => outcome(() => withJob(job, (signal) => open(request, signal, lent))),
    start: () =>
      outcome(async () => {
        await running();
      }),
    fetchFiles: (paths, job, progress) =>
      outcome(() => withJob(job, (signal) => fetchFiles(paths, signal, progress))),
    missingBytes: (paths) => outcome(() => pack().source.missingBytes(paths)),
    readFile: (path, job) => outcome(() => withJob(job, (signal) => pack().source.read(path, { signal }))),
    lexicon: () => outcome(async () => (await speaking()).lexicon()),
    encode: (text, special) => outcome(async () => (await speaking()).encode(text, special)),
    chat: (messages) => outcome(async () => (await speaking()).chat(messages)),
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
