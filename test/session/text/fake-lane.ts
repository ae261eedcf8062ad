/**
 * A lane whose arithmetic is exact and checks itself: a block's state is the tokens that passed it, rows say
 * how deep they are, and the next token is a hash of everything the last block holds. A row that took
 * a wrong way, came twice or was missed changes every token behind it, or throws.
 */
import type { Span } from '../../../src/core/span.ts';
import { asFloat32, float32Tensor, type TensorMap } from '../../../src/core/tensor.ts';
import { IsthmusError } from '../../../src/errors.ts';
import type {
  ForwardRequest,
  ForwardResult,
  Lane,
  LoopOptions,
  LoopRequest,
  LoopResult,
} from '../../../src/runtime/lane.ts';

export const VOCABULARY = 7;

/** What the model says next: depends on all tokens, and so on all state being right. */
export function nextToken(tokens: readonly number[]): number {
  let hash = 2166136261;
  for (const token of tokens) hash = Math.imul(hash ^ (token + 1), 16777619) >>> 0;
  // Half of the time it repeats, so that looking up what came before can guess right.
  const before = tokens[tokens.length - 3];
  return hash % 2 === 0 && before !== undefined ? before : (hash >>> 8) % VOCABULARY;
}

export function reference(prompt: readonly number[], count: number): number[] {
  const tokens = [...prompt];
  for (let step = 0; step < count; step += 1) tokens.push(nextToken(tokens));
  return tokens.slice(prompt.length);
}

/** Its own loop guesses nothing. */
const NO_DRAFTS = { drafted: 0, accepted: 0 };

export interface FakeLaneOptions {
  readonly blocks: number;
  /** Called before each piece of work; throws to fail it. */
  readonly onCall?: (what: 'forward' | 'loop' | 'token' | 'read' | 'write') => void;
  /** Lets others go on between tokens. */
  readonly pause?: () => Promise<void>;
}

export class FakeLane implements Lane {
  readonly sawTokens: number[] = [];
  rows = 0;
  isClosed = false;
  readonly #options: FakeLaneOptions;
  readonly #state: number[][];
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: FakeLaneOptions) {
    this.#options = options;
    this.#state = Array.from({ length: options.blocks }, () => []);
  }

  forward(request: ForwardRequest, options: { readonly signal?: AbortSignal } = {}): Promise<ForwardResult> {
    return this.#inTurn(async () => {
      await this.#options.pause?.();
      if (options.signal?.aborted === true) throw new IsthmusError('aborted', 'aborted');
      this.#options.onCall?.('forward');
      return this.#forward(request);
    });
  }

  loop(request: LoopRequest, { onPass, signal }: LoopOptions): Promise<LoopResult> {
    return this.#inTurn(async () => {
      this.#options.onCall?.('loop');
      const made: number[] = [];
      let position = request.position;
      let rows = request.tokens;
      while (made.length < request.maxTokens) {
        await this.#options.pause?.();
        if (signal?.aborted === true) return { tokens: made, reason: 'stopped', ms: 1, ...NO_DRAFTS };
        this.#options.onCall?.('token');
        const { tokens } = this.#forward({
          span: { from: 0, to: this.#options.blocks },
          position,
          input: { kind: 'tokens', tokens: rows },
          want: { kind: 'pick', pick: { sampling: request.sampling, answer: request.answer, drafts: [] } },
        });
        position += rows.length;
        const [token = 0] = tokens;
        if (request.endTokens.includes(token)) {
          return { tokens: made, reason: 'end', endToken: token, ms: 1, ...NO_DRAFTS };
        }
        made.push(token);
        onPass({ tokens: [token], rows: rows.length, ms: 1 });
        rows = [token];
      }
      return { tokens: made, reason: 'max-tokens', ms: 1, ...NO_DRAFTS };
    });
  }

  filled({ from, to }: Span): number {
    return Math.min(...this.#state.slice(from, to).map((block) => block.length));
  }

  readState({ from, to }: Span, first: number, end: number): Promise<TensorMap> {
    return this.#inTurn(async () => {
      this.#options.onCall?.('read');
      return Object.fromEntries(
        this.#state.slice(from, to).map((block, index) => {
          if (block.length < end) throw new IsthmusError('bad-option', 'state that is not there was read');
          const values = block.slice(first, end);
          return [`state.${from + index}`, float32Tensor(Float32Array.from(values), [values.length])];
        }),
      );
    });
  }

  writeState({ from, to }: Span, first: number, tensors: TensorMap): Promise<void> {
    return this.#inTurn(async () => {
      this.#options.onCall?.('write');
      for (let block = from; block < to; block += 1) {
        const state = this.#state[block];
        const tensor = tensors[`state.${block}`];
        if (state === undefined || tensor === undefined || state.length < first) {
          throw new IsthmusError('bad-option', 'state was written where none can be');
        }
        state.splice(first, state.length, ...asFloat32(tensor));
      }
    });
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(() => {
      if (this.isClosed) throw new IsthmusError('closed', 'the lane was closed');
      return work();
    });
    this.#turn = mine.catch(() => undefined);
    return mine;
  }

  #forward({ span, position, input, want }: ForwardRequest): ForwardResult {
    const { blocks } = this.#options;
    if (input.kind === 'tokens') this.sawTokens.push(...input.tokens);
    const rows = input.kind === 'tokens' ? input.tokens : this.#read(input.tensors, span.from);
    if ((input.kind === 'tokens') !== (span.from === 0)) {
      throw new IsthmusError('bad-option', 'the wrong kind of input');
    }
    if (input.kind === 'tensors' && input.rows !== rows.length) {
      throw new IsthmusError('bad-tensor', 'the wrong count of rows');
    }
    this.rows += rows.length * (span.to - span.from);
    for (let block = span.from; block < span.to; block += 1) {
      const state = this.#state[block];
      if (state === undefined || state.length < position) {
        throw new IsthmusError(
          'bad-option',
          `block ${block} holds ${state?.length} of ${position} positions`,
        );
      }
      state.splice(position, state.length, ...rows);
    }
    if (want.kind === 'nothing') return { tokens: [], tensors: {}, ms: 1 };
    if (want.kind === 'crossing') {
      const values = Float32Array.from(rows.flatMap((token) => [token, span.to]));
      return { tokens: [], tensors: { h: float32Tensor(values, [rows.length, 2]) }, ms: 1 };
    }
    if (want.kind !== 'pick' || span.to !== blocks) throw new IsthmusError('bad-option', 'no scores here');
    const held = this.#state[blocks - 1] ?? [];
    const { drafts } = want.pick;
    const tokens: number[] = [];
    for (let index = 0; index <= drafts.length; index += 1) {
      const token = nextToken(held.slice(0, held.length - drafts.length + index));
      tokens.push(token);
      if (token !== drafts[index]) break;
    }
    return { tokens, tensors: {}, ms: 1 };
  }

  #read(tensors: TensorMap, depth: number): number[] {
    const { h } = tensors;
    if (h === undefined) throw new IsthmusError('bad-tensor', 'no rows');
    const values = [...asFloat32(h)];
    if (values.some((value, index) => index % 2 === 1 && value !== depth)) {
      throw new IsthmusError('bad-tensor', `rows came in at another depth than ${depth}`);
    }
    return values.filter((_, index) => index % 2 === 0);
  }
}
