/** Isthmus by its public entry, all on the device. */
import { createSession } from 'isthmus';
import { type Contender, Stopwatch, type TextOpen } from './text-contender.ts';

export async function openIsthmus({ packageUrl, threads }: TextOpen): Promise<Contender> {
  const session = await createSession(packageUrl, {
    endpoint: null,
    plan: 'local',
    provider: 'wasm',
    threads,
  });
  if (session.threads !== threads) throw new Error(`asked for ${threads} threads, got ${session.threads}`);
  await session.prefetch();
  return {
    async run({ tokens }, maxTokens) {
      const watch = new Stopwatch();
      const result = await session.runText({
        tokens,
        maxTokens,
        plan: 'local',
        // The others guess nothing, and what is compared is a pass.
        draft: 0,
        sampling: GREEDY,
        endTokens: [],
        onToken: () => {
          watch.token();
          return false;
        },
      });
      if (result.usage.reusedTokens > 0) throw new Error('state of an earlier prompt was used again');
      return { ...watch.times, newTokens: result.tokens.length, answer: result.tokens };
    },
  };
}

const GREEDY = {
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  seed: 0,
};
