/** One chat session over the bench's link; each call of `ask` is one answer, with its usage. */
import {
  type ChatMessage,
  createSession,
  type TextPlan,
  type TextResult,
  type TextSession,
  type TextUsage,
} from 'isthmus';

export interface Question {
  readonly messages: readonly ChatMessage[];
  readonly plan: TextPlan;
  readonly draft?: 'auto' | number;
  readonly maxTokens: number;
}

export interface Told {
  readonly text: string;
  readonly tokens: readonly number[];
  readonly usage: Omit<TextUsage, 'plans'>;
  /** Ms from one token to the next. */
  readonly gaps: readonly number[];
}

declare global {
  var link: {
    open(packageUrl: string, options?: { readonly threads?: number }): Promise<void>;
    ask(question: Question): Promise<Told>;
    close(): Promise<void>;
    /** Bytes of the page and its workers. */
    memory(): Promise<number>;
  };
}

let session: TextSession | undefined;

async function open(packageUrl: string, options: { readonly threads?: number } = {}): Promise<void> {
  session = await createSession(packageUrl, options);
  // Everything is here before the first question: no weights beside the measured traffic.
  await session.prefetch();
}

async function ask({ messages, plan, draft, maxTokens }: Question): Promise<Told> {
  if (session === undefined) throw new Error('open the session first');
  const at: number[] = [];
  const stream = session.generate(messages, {
    plan,
    maxTokens,
    temperature: 0,
    ...(draft === undefined ? {} : { draft }),
    onToken: () => at.push(performance.now()),
  });
  // A stream that nobody reads would hold the answer back.
  for await (const _ of stream);
  const { text, tokens, usage }: TextResult = await stream.result;
  const { plans: _, ...counts } = usage;
  return { text, tokens, usage: counts, gaps: at.slice(1).map((ms, index) => ms - (at[index] ?? ms)) };
}

async function close(): Promise<void> {
  await session?.close();
  session = undefined;
}

/** Not yet among TypeScript's own types: https://wicg.github.io/performance-measure-memory/ */
interface MeasuresMemory {
  measureUserAgentSpecificMemory(): Promise<{ readonly bytes: number }>;
}

async function memory(): Promise<number> {
  const measured = await (performance as unknown as MeasuresMemory).measureUserAgentSpecificMemory();
  return measured.bytes;
}

globalThis.link = { open, ask, close, memory };
