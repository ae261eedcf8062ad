/** Verification inside a page, on the runner that pages use. Reaches inside the library on purpose. */
import type { Span } from '../../../src/core/span.ts';
import { segmentsOf } from '../../../src/package/segments.ts';
import { type Verdict, type VerifyInput, verifyCuts } from '../../../src/package/verify.ts';
import { audioInput } from '../../../src/package/verify-inputs.ts';
import { openWorkerRunner, type WorkerRunner } from '../../../src/runtime/browser/worker-runner.ts';
import { argmax } from '../../../src/runtime/decode.ts';
import type { SpanExecutor } from '../../../src/runtime/executor.ts';
import { createExecutor } from '../../../src/runtime/span-executor.ts';
import { wholeScores } from '../whole-scores.ts';

export interface PageVerdict {
  readonly verdict: Verdict;
  readonly provider: string;
  readonly threads: number;
}

export interface PageScores {
  readonly tokens: readonly number[];
  /** Bytes of float32 `[steps, vocabulary]`. */
  readonly base64: string;
}

function samplesOf(base64: string): Float32Array {
  return new Float32Array(Uint8Array.from(atob(base64), (char) => char.charCodeAt(0)).buffer);
}

async function withRunner<T>(
  packageUrl: string,
  samples: string,
  threads: number,
  use: (runner: WorkerRunner, input: VerifyInput) => Promise<T>,
): Promise<T> {
  const worker = new Worker(new URL('../../../workers/runner-worker.ts', import.meta.url), {
    type: 'module',
  });
  const url = new URL(packageUrl, document.baseURI).href;
  const runner = await openWorkerRunner(worker, { packageUrl: url, provider: 'wasm', threads });
  try {
    return await use(runner, audioInput(runner.opened.manifest, 'recording', samplesOf(samples)));
  } finally {
    await runner.close();
  }
}

const api = {
  /** @param samples base64 of the bytes of mono float32 samples */
  verify(
    packageUrl: string,
    samples: string,
    threads: number,
    cuts: readonly number[],
  ): Promise<PageVerdict> {
    return withRunner(packageUrl, samples, threads, async (runner, input) => {
      const { manifest } = runner.opened;
      const tools = {
        executor: (span: Span): SpanExecutor => createExecutor(manifest, span, runner),
        unload: async (span: Span) => {
          for (const segment of segmentsOf(manifest, span)) await runner.unload(segment);
        },
        argmax,
      };
      const verdict = await verifyCuts(manifest, [input], tools, cuts);
      return { verdict, provider: runner.provider, threads: runner.threads };
    });
  },

  scores(packageUrl: string, samples: string, threads: number): Promise<PageScores> {
    return withRunner(packageUrl, samples, threads, async (runner, input) => {
      const { tokens, scores } = await wholeScores(runner.opened.manifest, runner, input);
      return { tokens, base64: await toBase64(scores) };
    });
  },
};

async function toBase64(values: Float32Array): Promise<string> {
  const reader = new FileReader();
  const read = new Promise((resolve, reject) => {
    reader.onload = resolve;
    reader.onerror = reject;
  });
  reader.readAsDataURL(new Blob([new Float32Array(values)]));
  await read;
  return String(reader.result).replace(/^[^,]*,/, '');
}

export type VerifyApi = typeof api;

declare global {
  // `var` is what makes a property of the global object.
  var verifyApi: VerifyApi;
}

globalThis.verifyApi = api;
