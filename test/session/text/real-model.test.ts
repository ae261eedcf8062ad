/** The engine over real lanes: a small model on the native runtime at both places. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LookupDrafter } from '../../../src/core/draft/draft-lookup.ts';
import { GREEDY, type Sampling } from '../../../src/core/sampling.ts';
import type { OpenedPackage } from '../../../src/package/node/open-package.ts';
import { goalOf } from '../../../src/planner/objective.ts';
import type { Lane } from '../../../src/runtime/lane.ts';
import { TextEngine } from '../../../src/session/text/engine.ts';
import type { TextRequest } from '../../../src/session/text/engine-types.ts';
import { NO_GUESSES } from '../../../src/session/text/guess-book.ts';
import type { TextPlan } from '../../../src/session/text/types.ts';
import { DeviceFiles, NodeDevice } from '../../fixtures/node-device.ts';
import { tinyText } from '../../fixtures/tiny-text.ts';
import { FakePlaces } from './fake-places.ts';

const PROMPT = [5, 9, 31, 5, 9, 77, 12, 140, 5, 9];
const TOKENS = 64;
const SAMPLED: Sampling = {
  ...GREEDY,
  temperature: 1.1,
  topK: 40,
  topP: 0.95,
  repetitionPenalty: 1.1,
  seed: 11,
};

/** Two native runners, one for each side, with one session per block as the device has. */
class NodePlaces extends FakePlaces {
  /** Of each forward. */
  readonly rows: number[] = [];
  readonly devices: { readonly device: NodeDevice; readonly endpoint: NodeDevice };

  constructor(pkg: OpenedPackage) {
    super(pkg.manifest.blocks.length, pkg.manifest);
    this.devices = {
      device: new NodeDevice(new DeviceFiles(pkg)),
      endpoint: new NodeDevice(new DeviceFiles(pkg)),
    };
  }

  async load(): Promise<void> {
    for (const runner of Object.values(this.devices)) {
      for (const { index } of this.manifest.blocks) {
        await runner.load({ stage: 0, from: index, to: index + 1 });
      }
    }
  }

  override async openLane(place: 'device' | 'endpoint'): Promise<Lane> {
    const lane = await this.devices[place].openLane();
    const forward = lane.forward.bind(lane);
    lane.forward = (asked, options) => {
      this.rows.push(asked.input.kind === 'tokens' ? asked.input.tokens.length : asked.input.rows);
      return forward(asked, options);
    };
    return lane;
  }

  async close(): Promise<void> {
    for (const runner of Object.values(this.devices)) await runner.close();
  }
}

/** @param wanted guesses that a place makes by itself */
function request(more: Partial<TextRequest> = {}, wanted = 6): TextRequest {
  const drafter = new LookupDrafter();
  return {
    tokens: PROMPT,
    sampling: GREEDY,
    endTokens: [],
    maxTokens: TOKENS,
    plan: 'local',
    goal: goalOf(),
    move: false,
    fallback: false,
    proposals: {
      propose: (tokens, most) => drafter.propose(tokens, Math.min(4, most)),
      learn: () => undefined,
      wanted,
      note: () => undefined,
    },
    trips: () => [NO_GUESSES],
    now: () => 0,
    pause: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    onToken: () => false,
    onPeriod: () => undefined,
    ...more,
  };
}

describe.each(['llama', 'qwen2'] as const)('a text of a real %s model', (family) => {
  let places: NodePlaces;
  let blocks: number;
  const unmoved = new Map<Sampling, readonly number[]>();

  beforeAll(async () => {
    places = new NodePlaces(await tinyText(family));
    await places.load();
    blocks = places.manifest.blocks.length;
    for (const sampling of [GREEDY, SAMPLED]) {
      unmoved.set(sampling, (await new TextEngine(places).run(request({ sampling }, 0))).tokens);
    }
  });

  afterAll(() => places.close());

  const plans = (): fc.Arbitrary<Exclude<TextPlan, 'auto'>> =>
    fc.oneof(
      fc.constant<'local'>('local'),
      fc.constant<'remote'>('remote'),
      fc.record({ cut: fc.integer({ min: 1, max: blocks - 1 }) }),
      fc
        .tuple(fc.integer({ min: 1, max: blocks - 2 }), fc.integer({ min: 1, max: blocks - 2 }))
        .map(([a, b]) => ({ cut: Math.min(a, b), until: Math.max(a, b) + 1 })),
    );

  it('has words of its own', () => {
    expect(new Set(unmoved.get(GREEDY)).size).toBeGreaterThan(3);
    expect(unmoved.get(SAMPLED)).not.toEqual(unmoved.get(GREEDY));
  });

  it('is the same at every cut, in one place, and in the middle of the endpoint', async () => {
    for (const [sampling, expected] of unmoved) {
      for (let cut = 0; cut <= blocks; cut += 1) {
        for (const until of [blocks, blocks - 1]) {
          if (until <= cut) continue;
          const { tokens } = await new TextEngine(places).run(request({ sampling, plan: { cut, until } }));
          expect(tokens, `${cut}-${until}`).toEqual(expected);
        }
      }
    }
  });

  it('is the same to the bit behind a long prompt, whose pieces overlap where it is cut', async () => {
    const tokens = Array.from({ length: 240 }, (_, at) => 3 + ((at * at + 7 * at) % 150));
    const expected = new Map<Sampling, readonly number[]>();
    for (const sampling of [GREEDY, SAMPLED]) {
      const whole = request({ tokens, sampling, maxTokens: 8 }, 0);
      expected.set(sampling, (await new TextEngine(places).run(whole)).tokens);
    }
    for (const [sampling, same] of expected) {
      for (const plan of [{ cut: 1 }, { cut: 2 }, { cut: 0, until: 2 }, { cut: 1, until: 3 }]) {
        places.rows.length = 0;
        const engine = new TextEngine(places);
        const cut = request({ tokens, sampling, plan, maxTokens: 8 });
        expect((await engine.run(cut)).tokens, JSON.stringify(plan)).toEqual(same);
        expect(Math.max(...places.rows)).toBeLessThanOrEqual(64);
        await engine.close();
      }
    }
  });

  it('is the same when the cut moves at every token, to and fro, at random', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(plans(), { minLength: TOKENS, maxLength: TOKENS }),
        fc.constantFrom(GREEDY, SAMPLED),
        async (moves, sampling) => {
          const engine = new TextEngine(places);
          let at = 0;
          let periods = 0;
          const { tokens } = await engine.run(
            request({
              sampling,
              plan: moves[0] ?? 'local',
              onToken: () => {
                at += 1;
                const next = moves[at];
                if (next !== undefined) engine.moveTo(next).catch(() => undefined);
                return false;
              },
              onPeriod: () => {
                periods += 1;
              },
            }),
          );
          expect(tokens).toEqual(unmoved.get(sampling));
          expect(periods).toBeGreaterThan(4);
          await engine.close();
        },
      ),
      { numRuns: 12 },
    );
  });
});
