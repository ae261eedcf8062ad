/**
 * Messages as the prompt that a model was trained on, by the Jinja template that came with it. Templates are
 * outside input: their length, their output and the steps that they take are bounded.
 */
import { Environment, Interpreter, Template } from '@huggingface/jinja';
import { IsthmusError, isIsthmusError } from '../../errors.ts';
import type { ChatMessage } from '../../session/text/types.ts';
import { MAX_TEXT_LENGTH } from '../tokenizer.ts';
import { strftime } from './template-clock.ts';

/** UTF-16 units. Published templates reach some 30,000. */
export const MAX_TEMPLATE_LENGTH = 2 ** 18;

/** Expressions and statements evaluated, at up to 10 us each; a thousand messages take some 60,000. */
export const MAX_TEMPLATE_STEPS = 200_000;

/** Numbers in one `range()`; more than a conversation has messages. */
const MAX_RANGE = 100_000;

export interface ChatOptions {
  /** Texts by the names that templates use, e.g. `bos_token`. */
  readonly specialTokens: Readonly<Record<string, string>>;
  /** End with the beginning of an answer. */
  readonly addGenerationPrompt: boolean;
  /** The time that the template may write into the prompt. */
  readonly now: () => Date;
}

/** What is used of the package's classes, whose own types do not resolve under Node's rules for modules. */
interface JinjaEnvironment {
  readonly variables: ReadonlyMap<string, unknown>;
  set(name: string, value: unknown): unknown;
}

interface JinjaInterpreter {
  run(program: unknown): { readonly value: unknown };
  evaluate(part: unknown, scope: unknown): unknown;
}

/**
 * The prompt. No template is assumed where the model has none.
 *
 * Throws `unsupported-model` (no template), `bad-input` (no messages, messages that are none, or what the
 * template itself says of them), `bad-package` (a template that cannot be parsed), `input-too-long`,
 * `limit-exceeded`.
 */
export function renderChat(
  template: string | undefined,
  messages: readonly ChatMessage[],
  options: ChatOptions,
): string {
  if (template === undefined) {
    throw new IsthmusError(
      'unsupported-model',
      'the model has no chat template, so it continues text only: give it a prompt instead of messages',
    );
  }
  checkMessages(messages);
  const { parsed } = parse(template);
  const environment = environmentFor(messages, options);
  const prompt = run(() => bounded(environment).run(parsed).value);
  if (typeof prompt !== 'string') throw failure('it makes no text');
  if (prompt.length > MAX_TEXT_LENGTH) throw tooLong();
  return prompt;
}

function checkMessages(messages: readonly ChatMessage[]): void {
  if (!Array.isArray(messages) || messages.length === 0) {
    throw new IsthmusError('bad-input', 'a chat needs at least one message');
  }
  let length = 0;
  for (const [index, message] of messages.entries()) {
    if (typeof message?.role !== 'string' || typeof message.content !== 'string') {
      throw new IsthmusError('bad-input', `message ${index} needs a role and a content, both texts`, {
        details: { index },
      });
    }
    length += message.content.length;
  }
  if (length > MAX_TEXT_LENGTH) throw tooLong();
}

function tooLong(): IsthmusError {
  return new IsthmusError('input-too-long', `a prompt has at most ${MAX_TEXT_LENGTH} characters`, {
    details: { limit: MAX_TEXT_LENGTH },
  });
}

function failure(why: string, cause?: unknown): IsthmusError {
  return new IsthmusError('bad-input', `the chat template cannot be used with these messages: ${why}`, {
    cause,
  });
}

function parse(template: string): Template {
  if (template.length > MAX_TEMPLATE_LENGTH) {
    throw new IsthmusError('limit-exceeded', `a chat template has at most ${MAX_TEMPLATE_LENGTH} characters`);
  }
  try {
    return new Template(template);
  } catch (cause) {
    throw new IsthmusError('bad-package', "the model's chat template cannot be parsed", { cause });
  }
}

/** Whatever goes wrong inside the interpreter, as one of our errors. */
function run(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    if (isIsthmusError(error)) throw error;
    throw failure(error instanceof Error ? error.message : String(error), error);
  }
}

function environmentFor(messages: readonly ChatMessage[], options: ChatOptions): JinjaEnvironment {
  const values: Readonly<Record<string, unknown>> = {
    ...options.specialTokens,
    messages: messages.map((message) => ({ ...message })),
    add_generation_prompt: options.addGenerationPrompt,
    true: true,
    false: false,
    none: null,
    True: true,
    False: false,
    None: null,
    range: boundedRange,
    raise_exception: (message: unknown) => {
      throw new IsthmusError('bad-input', String(message));
    },
    strftime_now: (format: unknown) => strftime(options.now(), String(format)),
  };
  const environment: JinjaEnvironment = new Environment();
  for (const [name, value] of Object.entries(values)) {
    // `namespace` is there from the start and cannot be set again.
    if (!environment.variables.has(name)) environment.set(name, value);
  }
  return environment;
}

/** Python's. */
function boundedRange(first: number, second?: number, step = 1): number[] {
  const [start, stop] = second === undefined ? [0, first] : [first, second];
  const count = Math.max(0, Math.ceil((stop - start) / step));
  if (!(count <= MAX_RANGE)) {
    throw new IsthmusError(
      'limit-exceeded',
      `the chat template asks for a range beyond ${MAX_RANGE} numbers`,
    );
  }
  return Array.from({ length: count }, (_, index) => start + index * step);
}

/**
 * Every part of a template is evaluated by one method, which calls itself: counted there, a loop without end
 * is one that is stopped.
 */
function bounded(environment: JinjaEnvironment): JinjaInterpreter {
  const interpreter: JinjaInterpreter = new Interpreter(environment);
  const evaluate = interpreter.evaluate.bind(interpreter);
  let steps = 0;
  interpreter.evaluate = (part, scope) => {
    steps += 1;
    if (steps > MAX_TEMPLATE_STEPS) {
      throw new IsthmusError('limit-exceeded', `the chat template takes over ${MAX_TEMPLATE_STEPS} steps`);
    }
    return evaluate(part, scope);
  };
  return interpreter;
}
