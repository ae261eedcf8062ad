/** A session that speaks in words too. */
import type { ChatMessage, GenerateOptions, TextStream } from '../../session/text/types.ts';
import type { Session } from '../../session/types.ts';
import { generateText } from './generate.ts';

export interface TextSession extends Session {
  /** See `generateText`. */
  generate(prompt: string | readonly ChatMessage[], options?: GenerateOptions): TextStream;
}

export function withText<T extends Session>(session: T): T & TextSession {
  return Object.assign(session, {
    generate: (prompt: string | readonly ChatMessage[], options?: GenerateOptions) =>
      generateText(session, prompt, options),
  });
}
