/**
 * What every lane must do, wherever its runner is: beside it, behind a worker, at the other end of a link.
 * Tensors are compared to the bit, so a lane behind a link is to be opened with a lossless codec.
 */
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { GREEDY, type Sampling } from '../../src/core/sampling.ts';
import type { Span } from '../../src/core/span.ts';
import type { TensorMap } from '../../src/core/tensor.ts';
import type { ForwardResult, Lane, LaneInput, LoopRequest, Pick, Want } from '../../src/runtime/lane.ts';
import { type LoopPackage, llamaPackage, prompt } from '../runtime/loop-package.ts';

/**
 * Makes a way to open lanes on a package, on which any span may be run. Called once per test; what it
 * holds is to be freed with `onTestFinished`.
 */
export type MakeLanes = (pkg: LoopPackage) => Promise<() => Promise<Lane>>;

const SAMPLED: Sampling = { ...GREEDY, temperature: 1, topK: 20, topP: 0.95, seed: 7 };
/** Positions of the package that the contract runs on. */
const CONTEXT = 512;
/** Long enough to need pieces, and room beyond the first. */
const LONG = 300;

export function tokensIn(tokens: readonly number[]): LaneInput {
  return { kind: 'tokens', tokens };
}

export function pick(options: Partial<Pick> = {}): Want {
  return { kind: 'pick', pick: { sampling: GREEDY, answer: [], drafts: [], ...options } };
}

/** To the bit. Matchers that look at each byte would take seconds. */
export function expectSame(made: TensorMap, wanted: TensorMap): void {
  expect(Object.keys(made)).toEqual(Object.keys(wanted));
  for (const [key, { dtype, dims, bytes }] of Object.entries(wanted)) {
    const tensor = made[key];
    expect(tensor).toMatchObject({ dtype, dims });
    expect(Buffer.compare(tensor?.bytes ?? new Uint8Array(), bytes), key).toBe(0);
  }
}

export function laneContract(name: string, make: MakeLanes): void {
  describe(`${name} as a lane`, () => {
    let pkg: LoopPackage;
    let all: Span;
    let open: () => Promise<Lane>;
    let lane: Lane;

    beforeEach(async () => {
      pkg ??= await llamaPackage(CONTEXT);
      all = { from: 0, to: pkg.manifest.blocks.length };
      open = await make(pkg);
      lane = await open();
      onTestFinished(() => lane.close());
    });

    const another = async (): Promise<Lane> => {
      const opened = await open();
      onTestFinished(() => opened.close());
      return opened;
    };
    const text = (count: number, seed?: number): number[] => prompt(count, 160, seed);
    const next = async (on: Lane, position: number, tokens: readonly number[]): Promise<number> =>
      (await on.forward({ span: all, position, input: tokensIn(tokens), want: pick() })).tokens[0] ?? -1;
    const loop = (options: Partial<LoopRequest> = {}): LoopRequest => ({
      position: 0,
      tokens: text(12),
      sampling: GREEDY,
      answer: [],
      endTokens: [],
      maxTokens: 16,
      ...options,
    });
    const answer = async (on: Lane, options: Partial<LoopRequest> = {}): Promise<readonly number[]> =>
      (await on.loop(loop(options), { onPass: () => undefined })).tokens;
    const crossing = async (
      on: Lane,
      span: Span,
      position: number,
      tokens: readonly number[],
    ): Promise<TensorMap> =>
      (await on.forward({ span, position, input: tokensIn(tokens), want: { kind: 'crossing' } })).tensors;
    const tail = (
      on: Lane,
      cut: number,
      position: number,
      tensors: TensorMap,
      rows: number,
      want = pick(),
    ): Promise<ForwardResult> =>
      on.forward({
        span: { from: cut, to: all.to },
        position,
        input: { kind: 'tensors', tensors, rows },
        want,
      });

    it('makes a text in one call as token by token', async () => {
      const told: number[] = [];
      const result = await lane.loop(loop(), { onPass: ({ tokens }) => told.push(...tokens) });
      expect(result).toMatchObject({ reason: 'max-tokens' });
      expect(result.tokens).toHaveLength(16);
      expect(told).toEqual(result.tokens);
      expect(new Set(told).size).toBeGreaterThan(4);
      expect(lane.filled(all)).toBe(12 + 15);
      const stepped = await another();
      const tokens: number[] = [];
      let input = text(12);
      for (let position = 0; tokens.length < 16; position += input.length, input = tokens.slice(-1)) {
        tokens.push(await next(stepped, position, input));
      }
      expect(tokens).toEqual(result.tokens);
    });

    it('holds the same after a long input as after its tokens one by one', async () => {
      const tokens = text(LONG);
      await lane.forward({ span: all, position: 0, input: tokensIn(tokens), want: { kind: 'nothing' } });
      const stepped = await another();
      for (const [position, token] of tokens.entries()) await next(stepped, position, [token]);
      expect(lane.filled(all)).toBe(LONG);
      expectSame(await lane.readState(all, 0, LONG), await stepped.readState(all, 0, LONG));
      expect(await next(lane, LONG, [3])).toBe(await next(stepped, LONG, [3]));
    });

    it('yields the same tensors for a long input as for its pieces', async () => {
      const near = { from: 0, to: 3 };
      const tokens = text(LONG);
      const whole = await crossing(lane, near, 0, tokens);
      const other = await another();
      const first = await crossing(other, near, 0, tokens.slice(0, 100));
      const second = await crossing(other, near, 100, tokens.slice(100));
      for (const [key, tensor] of Object.entries(whole)) {
        const parts = [first[key]?.bytes ?? new Uint8Array(), second[key]?.bytes ?? new Uint8Array()];
        expect(tensor.dims).toEqual([1, LONG, 64]);
        expect(Buffer.compare(Buffer.concat(parts), tensor.bytes), key).toBe(0);
      }
    });

    it('goes back to an earlier position as if nothing had come after it', async () => {
      await answer(lane, { tokens: text(20) });
      const other = text(6, 9);
      const again = await answer(lane, { position: 8, tokens: other });
      const fresh = await another();
      expect(again).toEqual(await answer(fresh, { tokens: [...text(20).slice(0, 8), ...other] }));
    });

    it('draws the same with a seed however the calls are cut', async () => {
      const whole = await answer(lane, { sampling: SAMPLED });
      expect(whole).not.toEqual(await answer(await another()));
      const parted = await another();
      const first = await answer(parted, { sampling: SAMPLED, maxTokens: 5 });
      const rest = await answer(parted, {
        position: 12 + 4,
        tokens: first.slice(-1),
        answer: first,
        sampling: SAMPLED,
        maxTokens: 11,
      });
      expect([...first, ...rest]).toEqual(whole);
    });

    it('confirms proposals up to the first that it would not have made', async () => {
      const tokens = text(12);
      for (const sampling of [GREEDY, SAMPLED]) {
        const whole = await answer(lane, { sampling });
        const wrong = ((whole[3] ?? 0) + 1) % 160;
        const drafts = [...whole.slice(0, 3), wrong, ...whole.slice(4, 6)];
        const drafted = await another();
        const input = tokensIn([...tokens, ...drafts]);
        const first = await drafted.forward({
          span: all,
          position: 0,
          input,
          want: pick({ drafts, sampling }),
        });
        expect(first.tokens).toEqual(whole.slice(0, 4));
        const good = whole.slice(4, 7);
        const second = await drafted.forward({
          span: all,
          position: 12 + 3,
          input: tokensIn([...whole.slice(3, 4), ...good]),
          want: pick({ drafts: good, sampling, answer: whole.slice(0, 4) }),
        });
        expect(second.tokens).toEqual(whole.slice(4, 8));
        const rest = await answer(drafted, {
          position: 12 + 7,
          tokens: whole.slice(7, 8),
          answer: whole.slice(0, 8),
          maxTokens: 8,
          sampling,
        });
        expect(rest).toEqual(whole.slice(8));
      }
    });

    it('is whole in two parts, cut anywhere', async () => {
      const whole = await answer(lane, { maxTokens: 8 });
      for (let cut = 1; cut < all.to; cut += 1) {
        const near = await another();
        const far = await another();
        const tokens: number[] = [];
        let input = text(12);
        for (let position = 0; tokens.length < 8; position += input.length, input = tokens.slice(-1)) {
          const crossed = await crossing(near, { from: 0, to: cut }, position, input);
          tokens.push(...(await tail(far, cut, position, crossed, input.length)).tokens);
        }
        expect(tokens).toEqual(whole);
      }
    });

    it('is whole in three parts, the middle one elsewhere', async () => {
      const whole = await answer(lane, { maxTokens: 8 });
      const ends = await another();
      const middle = await another();
      const tokens: number[] = [];
      let input = text(12);
      for (let position = 0; tokens.length < 8; position += input.length, input = tokens.slice(-1)) {
        const rows = input.length;
        const out = await crossing(ends, { from: 0, to: 2 }, position, input);
        const back = await middle.forward({
          span: { from: 2, to: 4 },
          position,
          input: { kind: 'tensors', tensors: out, rows },
          want: { kind: 'crossing' },
        });
        tokens.push(...(await tail(ends, 4, position, back.tensors, rows)).tokens);
      }
      expect(tokens).toEqual(whole);
      expect(ends.filled({ from: 0, to: 2 })).toBe(12 + 7);
      expect(ends.filled(all)).toBe(0);
    });

    it('catches up on a text and takes over in the middle of it', async () => {
      const whole = await answer(lane, { maxTokens: 10 });
      const known = [...text(12), ...whole.slice(0, 4)];
      const late = await another();
      await late.forward({
        span: { from: 0, to: 3 },
        position: 0,
        input: tokensIn(known),
        want: { kind: 'nothing' },
      });
      expect(late.filled({ from: 0, to: 3 })).toBe(known.length);
      // The rest of its blocks come later still, from what the first ones say again.
      const again = await crossing(await another(), { from: 0, to: 3 }, 0, known);
      await tail(late, 3, 0, again, known.length, { kind: 'nothing' });
      const rest = await answer(late, {
        position: known.length - 1,
        tokens: known.slice(-1),
        answer: whole.slice(0, 4),
        maxTokens: 6,
      });
      expect(rest).toEqual(whole.slice(4));
    });

    it('hands its state to another lane, which goes on alike', async () => {
      const whole = await answer(lane, { maxTokens: 10 });
      const held = 12 + 4;
      const near = { from: 0, to: 3 };
      const far = { from: 3, to: all.to };
      const other = await another();
      await other.writeState(near, 0, await lane.readState(near, 0, held));
      expect(other.filled(near)).toBe(held);
      await other.writeState(far, 0, await lane.readState(far, 0, 7));
      await other.writeState(far, 7, await lane.readState(far, 7, held));
      expect(other.filled(all)).toBe(held);
      const rest = await answer(other, {
        position: held,
        tokens: whole.slice(4, 5),
        answer: whole.slice(0, 5),
        maxTokens: 5,
      });
      expect(rest).toEqual(whole.slice(5));
    });

    it('reads copies that later runs do not change', async () => {
      await next(lane, 0, text(8));
      const copy = await lane.readState(all, 2, 6);
      const kept = structuredClone(copy);
      await next(lane, 0, text(8, 5));
      expect(copy).toEqual(kept);
      expect(await lane.readState(all, 2, 6)).not.toEqual(kept);
    });

    it('ends at an end token and does not tell it', async () => {
      const whole = await answer(lane);
      const at = whole.findIndex((token, index) => index > 2 && !whole.slice(0, index).includes(token));
      const told: number[] = [];
      const end = whole[at] ?? -1;
      const result = await (await another()).loop(loop({ endTokens: [end] }), {
        onPass: ({ tokens }) => told.push(...tokens),
      });
      expect(result).toMatchObject({ tokens: whole.slice(0, at), reason: 'end', endToken: end });
      expect(told).toEqual(whole.slice(0, at));
    });

    it.each([
      ['the likeliest', GREEDY],
      ['drawn ones', { ...SAMPLED, temperature: 0.2 }],
    ])('guesses change no token and no state: %s', async (_, sampling) => {
      const told: number[] = [];
      const request = loop({ sampling, tokens: text(12, 4), maxTokens: 120 });
      const plain = await lane.loop({ ...request, drafts: 0 }, { onPass: () => undefined });
      expect(plain).toMatchObject({ drafted: 0, accepted: 0 });
      const guessing = await another();
      const result = await guessing.loop(
        { ...request, drafts: 5 },
        {
          onPass: ({ tokens, rows }) => {
            told.push(...tokens);
            // Of those that come late nothing is known.
            if (rows > 0) expect(rows).toBeGreaterThanOrEqual(tokens.length);
          },
        },
      );
      expect(result.tokens).toEqual(plain.tokens);
      expect(told).toEqual(plain.tokens);
      // The text repeats itself enough for the test to be one.
      expect(result.accepted).toBeGreaterThan(10);
      expect(result.drafted).toBeGreaterThan(result.accepted);
      expect(guessing.filled(all)).toBe(lane.filled(all));
      const held = 12 + 119;
      expectSame(await guessing.readState(all, 0, held), await lane.readState(all, 0, held));
    });

    it('ends at an end token that was guessed, and goes on from there', async () => {
      const before = text(12, 4);
      const whole = await answer(lane, { tokens: before, maxTokens: 120, drafts: 0 });
      const tokens = [...before, ...whole.slice(0, 80)];
      const at = whole.findIndex((token, index) => index > 81 && !whole.slice(80, index).includes(token));
      const end = whole[at] ?? -1;
      const request = loop({ tokens, endTokens: [end], maxTokens: 40 });
      const plain = await (await another()).loop({ ...request, drafts: 0 }, { onPass: () => undefined });
      const guessing = await another();
      const result = await guessing.loop({ ...request, drafts: 6 }, { onPass: () => undefined });
      expect(result).toMatchObject({ tokens: plain.tokens, reason: 'end', endToken: end });
      expect(result.accepted).toBeGreaterThan(0);
      expect(result.accepted).toBeLessThanOrEqual(plain.tokens.length);
      const held = tokens.length + plain.tokens.length;
      expect(guessing.filled(all)).toBe(held);
      expect(await next(guessing, held, [5])).toBe(await next(lane, held, [5]));
    });

    it('stops between passes and goes on from there', async () => {
      const whole = await answer(lane, { maxTokens: 40 });
      const stopped = await another();
      const stop = new AbortController();
      const told: number[] = [];
      const result = await stopped.loop(loop({ maxTokens: 400 }), {
        signal: stop.signal,
        onPass: ({ tokens }) => {
          told.push(...tokens);
          if (told.length >= 3) stop.abort();
        },
      });
      expect(result.reason).toBe('stopped');
      expect(result.tokens.slice(0, 3)).toEqual(told.slice(0, 3));
      const made = result.tokens.length;
      expect(made).toBeLessThan(400);
      expect(result.tokens.slice(0, 40)).toEqual(whole.slice(0, made));
      const rest = await answer(stopped, {
        position: 12 + made - 1,
        tokens: result.tokens.slice(-1),
        answer: result.tokens,
        maxTokens: 4,
      });
      expect(rest).toEqual((await answer(lane, { maxTokens: made + 4 })).slice(made));
    });

    it('runs nothing for a signal that has fired', async () => {
      const signal = AbortSignal.abort();
      const request = { span: all, position: 0, input: tokensIn([1]), want: pick() };
      await expect(lane.forward(request, { signal })).rejects.toMatchObject({ code: 'aborted' });
      expect(lane.filled(all)).toBe(0);
      const onPass = (): void => expect.unreachable();
      const stopped = await lane.loop(loop(), { signal, onPass });
      expect(stopped).toMatchObject({ tokens: [], reason: 'stopped' });
    });

    it('answers calls that were made at once in their order', async () => {
      const tokens = text(6);
      const calls = tokens.map((token, position) => next(lane, position, [token]));
      const other = await another();
      const apart: number[] = [];
      for (const [position, token] of tokens.entries()) apart.push(await next(other, position, [token]));
      expect(await Promise.all(calls)).toEqual(apart);
    });

    it('grows its room in the middle of a text', async () => {
      const tokens = text(250);
      const long = await answer(lane, { tokens, maxTokens: 20 });
      const whole = await another();
      const known = [...tokens, ...long.slice(0, 19)];
      expect(await next(whole, 0, known)).toBe(long[19]);
      expectSame(await whole.readState(all, 0, 269), await lane.readState(all, 0, 269));
    });

    it('fills the context and no more', async () => {
      const tokens = text(CONTEXT - 2);
      const result = await lane.loop(loop({ tokens }), { onPass: () => undefined });
      expect(result).toMatchObject({ reason: 'max-tokens' });
      expect(result.tokens).toHaveLength(2);
      await next(lane, CONTEXT - 1, [1]);
      await expect(next(lane, CONTEXT, [1])).rejects.toMatchObject({ code: 'input-too-long' });
      await expect(answer(lane, { tokens: text(CONTEXT + 1) })).rejects.toMatchObject({
        code: 'input-too-long',
      });
    });

    it('refuses what makes no sense, and is as it was', async () => {
      await next(lane, 0, text(4));
      const forward = (options: Partial<Parameters<Lane['forward']>[0]>) =>
        lane.forward({ span: all, position: 4, input: tokensIn([1]), want: pick(), ...options });
      const badOption = [
        forward({ position: 5 }),
        forward({ position: -1 }),
        forward({ position: 0.5 }),
        forward({ span: { from: 0, to: all.to + 1 } }),
        forward({ span: { from: 2, to: 2 } }),
        forward({ input: tokensIn([]) }),
        forward({ span: { from: 0, to: 2 } }),
        forward({ want: { kind: 'crossing' } }),
        forward({ span: { from: 1, to: all.to } }),
        forward({ want: pick({ drafts: [1, 2] }) }),
        lane.readState(all, 0, 5),
        lane.readState(all, 3, 2),
        lane.writeState(all, 5, {}),
      ];
      for (const call of badOption) await expect(call).rejects.toMatchObject({ code: 'bad-option' });
      await expect(forward({ input: tokensIn([160]) })).rejects.toMatchObject({ code: 'bad-tensor' });
      await expect(lane.writeState(all, 0, {})).rejects.toMatchObject({ code: 'bad-tensor' });
      expect(lane.filled(all)).toBe(4);
      const fresh = await another();
      await next(fresh, 0, text(4));
      expect(await next(lane, 4, [1])).toBe(await next(fresh, 4, [1]));
    });

    it('keeps texts apart', async () => {
      const other = await another();
      const answers = await Promise.all([answer(lane), answer(other, { tokens: text(9, 4) })]);
      expect(answers[0]).toEqual(await answer(await another()));
      expect(answers[1]).toEqual(await answer(await another(), { tokens: text(9, 4) }));
    });

    it('takes nothing more once it is closed', async () => {
      await next(lane, 0, [1]);
      await lane.close();
      await lane.close();
      await expect(next(lane, 1, [1])).rejects.toMatchObject({ name: 'IsthmusError', code: 'closed' });
      expect(lane.filled(all)).toBe(0);
    });
  });
}
