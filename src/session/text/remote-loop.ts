/** The whole loop on the endpoint, as its client hears it: tokens in order, then how it ended. */
import { IsthmusError } from '../../errors.ts';
import type { EndpointTiming, TokensMessage } from '../../protocol/messages.ts';
import type { LoopPass, LoopRequest, LoopResult } from '../../runtime/lane.ts';
import type { NextMessage } from './remote-calls.ts';

export interface LoopListener {
  /** What it throws ends the loop at its next pass, and is thrown when that has come. */
  readonly onPass: (pass: LoopPass) => void;
  /** Told of each pass first, whatever came of those before it. */
  readonly onTiming: (rows: number, timing: EndpointTiming) => void;
  readonly halt: () => void;
  readonly vocabulary: number;
}

export interface HeardLoop {
  readonly result: LoopResult;
  /** Positions that the state holds now; `undefined` where that cannot be told. */
  readonly filled?: number;
  /** What the caller's own code threw. */
  readonly thrown?: { readonly error: unknown };
}

/** Throws `bad-frame` for an endpoint that makes no sense, and what ends the lane. */
export async function receiveLoop(
  next: NextMessage,
  call: number,
  request: LoopRequest,
  listener: LoopListener,
): Promise<HeardLoop> {
  const tokens: number[] = [];
  let thrown: HeardLoop['thrown'];
  for (;;) {
    const message = await next();
    if (message.type === 'tokens') {
      checkTokens(message, tokens.length, request.maxTokens, listener.vocabulary);
      const { rows: told = 1 } = message;
      const isFirst = tokens.length === 0;
      if (!isFirst && message.tokens.length > told) {
        throw new IsthmusError('bad-frame', `${told} rows cannot make ${message.tokens.length} tokens`);
      }
      // All rows that came with the call are behind the first, whatever the last piece of them was.
      const rows = isFirst ? Math.max(request.tokens.length, told) : told;
      listener.onTiming(rows, message.timing);
      tokens.push(...message.tokens);
      try {
        if (thrown === undefined) {
          listener.onPass({ tokens: message.tokens, rows, ms: message.timing.computeMs });
        }
      } catch (error) {
        thrown = { error };
        listener.halt();
      }
      continue;
    }
    if (message.type !== 'looped' || message.call !== call) {
      throw new IsthmusError('bad-frame', `a loop was answered by '${message.type}' of another call`);
    }
    const { reason, endToken, timing, drafted = 0, accepted = 0 } = message;
    if (reason === 'end' && (endToken === undefined || !request.endTokens.includes(endToken))) {
      throw new IsthmusError('bad-frame', 'a loop ended at a token that does not end it');
    }
    const end = endToken === undefined ? {} : { endToken };
    const filled = filledAfter(request, tokens.length, reason);
    return {
      result: { tokens, reason, ...end, ms: timing.computeMs, drafted, accepted },
      ...(filled === undefined ? {} : { filled }),
      ...(thrown === undefined ? {} : { thrown }),
    };
  }
}

/** The last token's row is run only to look for the one behind it. */
function filledAfter(
  { position, tokens }: LoopRequest,
  made: number,
  reason: LoopResult['reason'],
): number | undefined {
  if (reason === 'end') return position + tokens.length + made;
  return made === 0 ? undefined : position + tokens.length + made - 1;
}

function checkTokens(message: TokensMessage, made: number, most: number, vocabulary: number): void {
  const { step, tokens } = message;
  const fits = step === made && made + tokens.length <= most && tokens.every((token) => token < vocabulary);
  if (fits) return;
  throw new IsthmusError('bad-frame', `tokens came that are not those from ${made} on`, {
    details: { step, expected: made, count: tokens.length },
  });
}
