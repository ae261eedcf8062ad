/** Lanes over state that is copied as it grows, and over state that cannot go back. */
import { describe, expect, it, onTestFinished } from 'vitest';
import { GREEDY } from '../../src/core/sampling.ts';
import { createLane, type LocalLane } from '../../src/runtime/create-lane.ts';
import { createNodeRunner } from '../../src/runtime/node/ort-node.ts';
import { pick, tokensIn } from '../contracts/lane.ts';
import { PLAIN, plainPackage, prompt } from './loop-package.ts';

/** Plain products of one row and of many take different kernels, which add in another order. */
const TOLERANCE = 1e-4;

const ALL = { from: 0, to: PLAIN.layers };
const TOKENS = prompt(24, PLAIN.vocabulary);

async function lanes(options: { shift?: boolean } = {}): Promise<(chunkRows?: number) => LocalLane> {
  const { manifest, source } = plainPackage(options);
  const runner = createNodeRunner(manifest, source);
  onTestFinished(() => runner.close());
  for (const from of [0, 1, 2]) await runner.load({ stage: 0, from, to: from + 1 });
  await runner.load({ stage: 0, ...ALL });
  const loaded = () => runner.loaded();
  return (chunkRows = 64) => createLane({ manifest, runner, loaded, chunkRows });
}

async function scores(lane: LocalLane, position: number, tokens: readonly number[]): Promise<Float32Array> {
  const want = { kind: 'scores', rows: tokens.length } as const;
  const result = await lane.forward({ span: ALL, position, input: tokensIn(tokens), want });
  return result.scores ?? new Float32Array();
}

function difference(a: Float32Array, b: Float32Array): number {
  expect(a).toHaveLength(b.length);
  return a.reduce((most, score, at) => Math.max(most, Math.abs(score - (b[at] ?? NaN))), 0);
}

async function answer(
  lane: LocalLane,
  position: number,
  tokens: readonly number[],
): Promise<readonly number[]> {
  const request = { position, tokens, sampling: GREEDY, answer: [], endTokens: [], maxTokens: 12 };
  return (await lane.loop(request, { onPass: () => undefined })).tokens;
}

describe.each([
  ['state that grows', false],
  ['state that grows and state that is replaced', true],
])('a lane on %s', (_, shift) => {
  it('scores a text alike at once, in pieces and by the token', async () => {
    const open = await lanes({ shift });
    const whole = await scores(open(), 0, TOKENS);
    for (const rows of [1, 5, 23])
      expect(difference(await scores(open(rows), 0, TOKENS), whole)).toBeLessThan(TOLERANCE);
    const distinct = new Set(Array.from({ length: 24 }, (_row, at) => whole[at * PLAIN.vocabulary]));
    expect(distinct.size).toBeGreaterThan(20);
  });

  it('starts over at position 0', async () => {
    const open = await lanes({ shift });
    const lane = open();
    await answer(lane, 0, TOKENS);
    expect(await answer(lane, 0, TOKENS.slice(5))).toEqual(await answer(open(), 0, TOKENS.slice(5)));
  });

  it('is whole in two parts, cut anywhere', async () => {
    const open = await lanes({ shift });
    const whole = await answer(open(), 0, TOKENS);
    for (let cut = 1; cut < PLAIN.layers; cut += 1) {
      const [near, far] = [open(), open()];
      const tokens: number[] = [];
      let input = TOKENS;
      for (let position = 0; tokens.length < 12; position += input.length, input = tokens.slice(-1)) {
        const { tensors } = await near.forward({
          span: { from: 0, to: cut },
          position,
          input: tokensIn(input),
          want: { kind: 'crossing' },
        });
        const result = await far.forward({
          span: { from: cut, to: PLAIN.layers },
          position,
          input: { kind: 'tensors', tensors, rows: input.length },
          want: pick(),
        });
        tokens.push(...result.tokens);
      }
      expect(tokens).toEqual(whole);
    }
  });
});

describe('a lane on state that grows', () => {
  it('goes back as if nothing had come after', async () => {
    const open = await lanes();
    const lane = open();
    await answer(lane, 0, TOKENS);
    const other = prompt(7, PLAIN.vocabulary, 3);
    const again = await scores(lane, 10, other);
    const fresh = open();
    await scores(fresh, 0, TOKENS.slice(0, 10));
    expect(again).toEqual(await scores(fresh, 10, other));
    expect(lane.filled(ALL)).toBe(17);
  });

  it('hands rows of its state on', async () => {
    const open = await lanes();
    const lane = open();
    await scores(lane, 0, TOKENS);
    const other = open();
    await other.writeState(ALL, 0, await lane.readState(ALL, 0, 9));
    await other.writeState(ALL, 9, await lane.readState(ALL, 9, 24));
    expect(await scores(other, 24, [3])).toEqual(await scores(lane, 24, [3]));
    await other.writeState(ALL, 4, await lane.readState(ALL, 4, 6));
    expect(other.filled(ALL)).toBe(6);
    const fresh = open();
    await scores(fresh, 0, TOKENS);
    expect(await scores(other, 6, TOKENS.slice(6, 9))).toEqual(await scores(fresh, 6, TOKENS.slice(6, 9)));
  });

  it('refuses rows that are not of this state', async () => {
    const lane = (await lanes())();
    await scores(lane, 0, TOKENS);
    const state = await lane.readState(ALL, 0, 4);
    const [name = '', tensor] = Object.entries(state)[1] ?? [];
    if (tensor === undefined) throw new Error('there are three entries');
    const broken = [
      {},
      { ...state, [name]: { ...tensor, dims: [1, 4, PLAIN.hidden + 1] } },
      { ...state, [name]: { ...tensor, dtype: 'int32' as const } },
      { ...state, [name]: { ...tensor, dims: [1, 3, PLAIN.hidden], bytes: tensor.bytes.slice(64) } },
      { ...state, [name]: { ...tensor, bytes: tensor.bytes.slice(1) } },
    ];
    for (const tensors of broken) {
      await expect(lane.writeState(ALL, 4, tensors)).rejects.toMatchObject({ code: 'bad-tensor' });
    }
    expect(lane.filled(ALL)).toBe(TOKENS.length);
  });
});

describe('a lane on state that is replaced', () => {
  it('says that it cannot go back, and goes on from where it is', async () => {
    const open = await lanes({ shift: true });
    const lane = open();
    await scores(lane, 0, TOKENS);
    const back = scores(lane, 10, [1]);
    await expect(back).rejects.toMatchObject({ code: 'bad-option', details: { held: 24, position: 10 } });
    await expect(back).rejects.toThrow('cannot be rewound');
    const fresh = open();
    await scores(fresh, 0, TOKENS);
    expect(await scores(lane, 24, [1])).toEqual(await scores(fresh, 24, [1]));
    await scores(lane, 0, TOKENS.slice(0, 10));
    await scores(fresh, 0, TOKENS.slice(0, 10));
    expect(await scores(lane, 10, [1])).toEqual(await scores(fresh, 10, [1]));
  });

  it('cannot be read', async () => {
    const lane = (await lanes({ shift: true }))();
    await scores(lane, 0, TOKENS);
    await expect(lane.readState(ALL, 0, 4)).rejects.toMatchObject({ code: 'unsupported-model' });
  });
});
