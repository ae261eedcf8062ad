/** Other clients of the endpoint: some that ask for the whole of a recording again and again, and stop by themselves. */
import { inferOnce, inputOf } from './one-shot.mjs';

/** At once. One keeps the endpoint busy; the second makes a queue before whoever comes. */
const CLIENTS = 2;

/** However long the bench hangs, the load ends: behind the longest scenario, some forty rounds of visits. */
const LIMIT_MS = 30 * 60_000;

/** Until the load is there: a request must have been answered by then. */
const START_MS = 300;

/**
 * @param {string} url of the endpoint
 * @param {string} model
 * @param {{ samples: Float32Array }} recording
 * @param {number} maxTokens
 * @returns {Promise<{ stop: () => Promise<{ requests: number }> }>}
 */
export async function startLoad(url, model, { samples }, maxTokens) {
  const limit = new AbortController();
  const signal = AbortSignal.any([limit.signal, AbortSignal.timeout(LIMIT_MS)]);
  const input = { name: await inputOf(url, model), shape: [1, samples.length], floats: samples };
  let requests = 0;
  let failure;
  const client = async () => {
    while (!signal.aborted) {
      await inferOnce(url, model, { input, maxTokens, signal });
      requests += 1;
    }
  };
  const clients = Array.from({ length: CLIENTS }, () =>
    client().catch((error) => {
      if (!signal.aborted) failure = error;
    }),
  );
  await new Promise((resolve) => setTimeout(resolve, START_MS));
  return {
    stop: async () => {
      limit.abort();
      await Promise.all(clients);
      if (failure !== undefined) throw new Error(`the background load failed: ${failure.message}`);
      return { requests };
    },
  };
}
