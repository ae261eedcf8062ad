/** What runs inside the page: a session kept between calls, and one transcription with its report. */
import type { Page } from 'playwright-core';
import type { PlanChoice, RequestReport, SessionOptions } from '../../src/index.ts';

export type OpenOptions = Pick<
  SessionOptions,
  'codecs' | 'provider' | 'prefetch' | 'fallback' | 'endpoint' | 'threads' | 'shareExperience'
>;

/** A request as it comes out of the page: errors are told by code, since pages cannot hand over classes. */
export interface PageResult {
  readonly text: string;
  readonly tokens: readonly number[];
  readonly reports: readonly RequestReport[];
  readonly partial: readonly string[];
  readonly error?: { readonly code: string; readonly details: Readonly<Record<string, unknown>> };
}

export interface PageSession {
  readonly provider: string;
  readonly threads: number;
  readonly isolated: boolean;
}

/** Opens a session in the page, closing the one before. Throws what `createSession` throws, as `CODE: text`. */
export function openInPage(page: Page, packageUrl: string, options: OpenOptions = {}): Promise<PageSession> {
  return page.evaluate(
    async ({ packageUrl, options }) => {
      const holder = globalThis as typeof globalThis & {
        current?: Awaited<ReturnType<typeof isthmusApi.createSession>>;
        seen?: unknown[];
      };
      await holder.current?.close();
      const seen: unknown[] = [];
      holder.seen = seen;
      const session = await isthmusApi.createSession(packageUrl, {
        ...options,
        onEvent: (event) => seen.push(JSON.parse(JSON.stringify(event))),
      });
      holder.current = session;
      return { provider: session.provider, threads: session.threads, isolated: crossOriginIsolated };
    },
    { packageUrl, options },
  );
}

export function prefetchInPage(page: Page): Promise<void> {
  return page.evaluate(async () => {
    const holder = globalThis as typeof globalThis & { current?: { prefetch(): Promise<void> } };
    await holder.current?.prefetch();
  });
}

export function eventsInPage<T = { type: string }>(page: Page): Promise<T[]> {
  return page.evaluate(() => (globalThis as typeof globalThis & { seen?: T[] }).seen ?? []);
}

/** Transcribes in the page. `abortAfter` aborts at the n-th partial text. */
export function transcribeInPage(
  page: Page,
  samples: Float32Array,
  plan: PlanChoice = 'auto',
): Promise<PageResult> {
  const bytes = Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength).toString('base64');
  return page.evaluate(
    async ({ bytes, plan }) => {
      const holder = globalThis as typeof globalThis & {
        current?: Awaited<ReturnType<typeof isthmusApi.createSession>>;
      };
      if (holder.current === undefined) throw new Error('open a session first');
      const raw = Uint8Array.from(atob(bytes), (char) => char.charCodeAt(0));
      const partial: string[] = [];
      try {
        const { text, tokens, reports } = await isthmusApi.transcribe(
          holder.current,
          new Float32Array(raw.buffer),
          { plan, onText: (soFar) => partial.push(soFar) },
        );
        // Errors inside reports lose themselves on the way out of the page; their codes do not.
        const plain = reports.map((report) => ({
          ...report,
          abandoned: report.abandoned.map(({ plan: id, error }) => ({
            plan: id,
            error: { code: error.code },
          })),
        }));
        return { text, tokens, reports: plain, partial };
      } catch (error) {
        if (!isthmusApi.isIsthmusError(error)) throw error;
        const details = JSON.parse(JSON.stringify(error.details));
        return { text: '', tokens: [], reports: [], partial, error: { code: error.code, details } };
      }
    },
    { bytes, plan },
  ) as Promise<PageResult>;
}
