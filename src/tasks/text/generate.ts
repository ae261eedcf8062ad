/** Text in words: a prompt or messages in, a stream of text out, over a session that speaks tokens. */
import type { Sampling } from '../../core/sampling.ts';
import { IsthmusError, throwIfAborted } from '../../errors.ts';
import type { FarWords, Words } from '../../runtime/words.ts';
import { goalFields } from '../../session/planning.ts';
import { samplingFor } from '../../session/text/sampling.ts';
import { StopMatcher } from '../../session/text/stop.ts';
import type {
  ChatMessage,
  GenerateOptions,
  RunTextOptions,
  TextResult,
  TextStream,
} from '../../session/text/types.ts';
import type { Session } from '../../session/types.ts';
import { delay } from '../../session/waiting.ts';
import { MAX_HOLD_MS } from '../../session/weights.ts';
import { readerOf, wordsOf } from '../session-words.ts';
import { checkLength } from '../tokenizer.ts';
import { ToldReader } from '../told-reader.ts';
import { Detokeniser } from './detokenise.ts';
import { PromptMemory } from './prompt-memory.ts';
import { ReadAsTold } from './read-as-told.ts';
import { ShownLater } from './shown-later.ts';
import { textStream } from './text-stream.ts';

/** Tokens of an answer where neither caller nor package set a bound. */
const DEFAULT_MAX_TOKENS = 512;

/** Seeds that nobody chose; a reproducible answer names its own. */
const SEEDS = 2 ** 32;

const memories = new WeakMap<Session, PromptMemory>();

/**
 * Continues a prompt, or answers messages by the model's chat template. The stream yields whole characters;
 * `result` has the text, the tokens and what it cost. A conversation that goes on runs only what is new.
 *
 * The stream and `result` fail with `bad-input` (empty prompt, messages that the template refuses),
 * `input-too-long` (more than the context holds), `bad-option`, `unsupported-model`, `aborted`, and what
 * running throws.
 */
export function generateText(
  session: Session,
  prompt: string | readonly ChatMessage[],
  options: GenerateOptions = {},
): TextStream {
  return textStream(options.signal, (emit, signal) => generate(session, prompt, options, emit, signal));
}

async function generate(
  session: Session,
  prompt: string | readonly ChatMessage[],
  options: GenerateOptions,
  emit: (text: string) => void,
  signal: AbortSignal,
): Promise<TextResult> {
  const stops = new StopMatcher(options.stop ?? []);
  const sampling = samplingFor(session.manifest, options, () => Math.floor(Math.random() * SEEDS));
  // Where a stop text ends the answer is known as each token comes, or not at all.
  const far = stops.hasAny ? undefined : await session.farWords?.(options);
  const told = far && new ToldReader(far, () => readerOf(session), signal);
  const useLocal = (): void => void told?.useLocal().catch(() => undefined);
  // As weights leave it the line.
  const timer = setTimeout(useLocal, MAX_HOLD_MS);
  try {
    return await answer({ session, prompt, options, stops, sampling, far, told, emit, signal });
  } finally {
    clearTimeout(timer);
    far?.letGo();
    // For the next one, whose prompt need not be told to be cut into tokens.
    useLocal();
  }
}

interface Asked {
  readonly session: Session;
  readonly prompt: string | readonly ChatMessage[];
  readonly options: GenerateOptions;
  readonly stops: StopMatcher;
  readonly sampling: Sampling;
  /** Who tells of words while the tokenizer is on its way. */
  readonly far: FarWords | undefined;
  readonly told: ToldReader | undefined;
  readonly emit: (text: string) => void;
  readonly signal: AbortSignal;
}

async function answer(asked: Asked): Promise<TextResult> {
  const { session, prompt, options, stops, sampling, far, told, emit, signal } = asked;
  const { manifest } = session;
  const words = far === undefined ? wordsOf(session) : withFar(wordsOf(session), far, signal);
  const reader = told ?? (await readerOf(session));
  throwIfAborted(signal);
  const memory = memoryOf(session);
  const text = typeof prompt === 'string' ? prompt : await words.chat(prompt);
  const tokens = await promptTokens(session, words, memory, text);
  throwIfAborted(signal);
  const room = roomFor(session, tokens.length);
  const wanted = options.maxTokens ?? manifest.generation?.maxTokens ?? DEFAULT_MAX_TOKENS;
  checkCount('maxTokens', wanted);
  const detokeniser = new Detokeniser(reader);
  let shown = '';
  let stop: string | undefined;
  const later = new ShownLater(emit, delay);
  const show = (piece: string, holdMs = 0): void => {
    if (piece === '' || stop !== undefined) return;
    const step = stops.push(piece);
    stop = step.stop;
    shown += step.text;
    if (step.text !== '') later.show(step.text, holdMs);
  };
  const read = (token: number, holdMs: number): void => show(detokeniser.push(token), holdMs);
  const reading = told === undefined ? undefined : new ReadAsTold(told, read);
  const request: RunTextOptions = {
    tokens,
    sampling,
    endTokens: [...(manifest.generation?.eosTokens ?? []), ...(options.stopTokens ?? [])],
    maxTokens: Math.min(wanted, room),
    ...(options.plan === undefined ? {} : { plan: options.plan }),
    ...goalFields(options),
    ...(options.draft === undefined ? {} : { draft: options.draft }),
    ...(options.move === undefined ? {} : { move: options.move }),
    signal,
    onToken: (token, holdMs) => {
      options.onToken?.(token);
      if (reading === undefined) read(token, holdMs);
      else reading.push(token, holdMs);
      return stop !== undefined;
    },
    ...(options.onMove === undefined ? {} : { onMove: options.onMove }),
  };
  // Text that is known is shown before a failure is told.
  const { tokens: made, reason, usage } = await session.runText(request).finally(() => later.flush());
  await reading?.done();
  if (stop === undefined) {
    show(detokeniser.end());
    if (stop === undefined) {
      const rest = stops.end();
      shown += rest;
      if (rest !== '') later.show(rest, 0);
    }
  }
  memory.keep(text + reader.text(made), [...tokens, ...made]);
  return { text: shown, tokens: made, reason: endOf(reason, stop, made.length, wanted), usage };
}

/** Texts are cut into tokens by the endpoint, and here where it cannot. */
function withFar(words: Words, far: FarWords, signal: AbortSignal): Words {
  const encode = async (text: string, special: boolean): Promise<readonly number[]> => {
    try {
      return await far.encode(text, special, signal);
    } catch {
      throwIfAborted(signal);
      return words.encode(text, special);
    }
  };
  return { lexicon: words.lexicon, chat: words.chat, encode };
}

function endOf(
  reason: 'end' | 'max-tokens' | 'stopped',
  stop: string | undefined,
  made: number,
  wanted: number,
): TextResult['reason'] {
  if (stop !== undefined || reason === 'stopped') return 'stop';
  if (reason === 'end') return 'end';
  return made < wanted ? 'context' : 'max-tokens';
}

function memoryOf(session: Session): PromptMemory {
  const memory = memories.get(session) ?? new PromptMemory();
  memories.set(session, memory);
  return memory;
}

async function promptTokens(
  { manifest }: Session,
  words: Words,
  memory: PromptMemory,
  text: string,
): Promise<readonly number[]> {
  if (text === '') throw new IsthmusError('bad-input', 'the prompt is empty');
  checkLength(text);
  const tokens = await memory.encode(text, (rest) => words.encode(rest, false));
  const bos = manifest.generation?.bosToken;
  const needsBos = manifest.text?.addBos === true && bos !== undefined && tokens[0] !== bos;
  const all = needsBos ? [bos, ...tokens] : tokens;
  if (all.length === 0) throw new IsthmusError('bad-input', 'the prompt has no tokens');
  return all;
}

/** Throws `input-too-long` when the context has no room for an answer. */
function roomFor({ manifest }: Session, prompt: number): number {
  const context = manifest.text?.contextLength ?? Infinity;
  if (prompt < context) return context - prompt;
  throw new IsthmusError(
    'input-too-long',
    `the prompt has ${prompt} tokens and the model's context is ${context}: shorten it, or drop earlier turns`,
    { details: { promptTokens: prompt, contextLength: context } },
  );
}

function checkCount(option: string, value: number): void {
  if (Number.isSafeInteger(value) && value >= 1) return;
  throw new IsthmusError('bad-option', `${option} must be a whole number from 1 on`, { details: { option } });
}
