/** One answer of a language model as the bench asks for it: greedy, and as long as was asked whatever the model says. */
import type { PlanPeriod, Session, TextPlan, TextSession, TextUsage } from 'isthmus';

export interface Answered {
  readonly tokens: readonly number[];
  /** From the call to the last token. */
  readonly ms: number;
  readonly usage: Omit<TextUsage, 'plans'>;
  /** Plans that the answer ran under, and why each was taken. */
  readonly plans: readonly Pick<PlanPeriod, 'plan' | 'fromToken' | 'reason'>[];
}

const GREEDY = { temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, seed: 0 };

export async function answer(
  session: Session,
  tokens: readonly number[],
  options: { readonly maxTokens: number; readonly plan: TextPlan },
): Promise<Answered> {
  const started = performance.now();
  const result = await session.runText({ tokens, sampling: GREEDY, endTokens: [], ...options });
  return { tokens: result.tokens, ms: performance.now() - started, ...spent(result.usage) };
}

/**
 * The same from words to words, so that the tokenizer is part of it. A model that ends sooner is not kept from it.
 * `ms` and the usage's `ttftMs` are from the call to words on the page.
 */
export async function tell(
  session: TextSession,
  prompt: string,
  options: { readonly maxTokens: number; readonly plan: TextPlan },
): Promise<Answered> {
  const started = performance.now();
  const stream = session.generate(prompt, { temperature: 0, ...options });
  let ttftMs: number | undefined;
  for await (const _ of stream) ttftMs ??= performance.now() - started;
  const { tokens, usage } = await stream.result;
  const ms = performance.now() - started;
  const { plans, usage: counts } = spent(usage);
  return { tokens, ms, usage: { ...counts, ttftMs: ttftMs ?? ms }, plans };
}

function spent({ plans, ...usage }: TextUsage): Pick<Answered, 'usage' | 'plans'> {
  // An error among them would not survive the way out of the page.
  return { usage, plans: plans.map(({ plan, fromToken, reason }) => ({ plan, fromToken, reason })) };
}

/** The same in words, as an app asks: template, tokenizer and whole characters are part of it. */
export async function chat(
  session: TextSession,
  content: string,
  options: { readonly maxTokens: number; readonly plan: TextPlan },
): Promise<string> {
  const stream = session.generate([{ role: 'user', content }], { temperature: 0, ...options });
  // A stream that nobody reads would hold the answer back.
  for await (const _ of stream);
  return (await stream.result).text;
}
