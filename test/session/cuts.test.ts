/** Where a model is cut changes no token, and the report says what passed the wire. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { OpenedPackage } from '../../src/package/node/open-package.ts';
import { enumeratePlans } from '../../src/planner/enumerate.ts';
import type { PlanChoice } from '../../src/session/types.ts';
import { importOnce, importSpeech, onDisk } from '../endpoint/packages.ts';
import { features, reference } from '../endpoint/with-endpoint.ts';
import { isUp, open, startEndpoint } from './with-session.ts';

const MAX_TOKENS = 12;

/** Of an input whose tokens hardly repeat. */
const SEED = 4;

let speech: OpenedPackage;
/** Ends by its end token. */
let ending: OpenedPackage;
let eos: number[];

beforeAll(async () => {
  speech = await onDisk(await importSpeech('speech', []));
  const tokens = await reference(speech, features(5, SEED), MAX_TOKENS);
  // The first token that is new at its place, late enough for some to come before it.
  const at = tokens.findIndex((token, index) => index >= 4 && !tokens.slice(0, index).includes(token));
  eos = tokens.slice(at, at + 1);
  ending = await onDisk(await importSpeech('ending', eos));
});

/** Every plan over the wire under every codec that leaves tokens as they are, and the one here. */
function everyPlan(pkg: OpenedPackage): PlanChoice[] {
  const shapes = enumeratePlans(pkg.manifest, {
    choice: 'auto',
    codecs: ['fp32', 'fp16'],
    hasEndpoint: true,
  });
  return shapes.map(({ kind, cut, codec }) =>
    kind === 'local' || codec === 'none' ? 'local' : { cut, codec },
  );
}

function loopStart(pkg: OpenedPackage): number {
  return pkg.manifest.stages.find((stage) => stage.kind === 'loop')?.from ?? 0;
}

describe('every cut', () => {
  it('makes the tokens of the whole model, and reports what passed the wire', async () => {
    const endpoint = await startEndpoint(speech);
    const { session, wire, seen } = await open(speech, { port: endpoint.port });
    await seen(isUp);
    const expected = await reference(speech, features(5, SEED), MAX_TOKENS);
    const tried: string[] = [];
    for (const plan of everyPlan(speech)) {
      const heard: number[] = [];
      // The probe of a new link is over before its traffic would be counted with a request's.
      await session.run({ inputs: { features: features(5, SEED) }, plan, maxTokens: 1 });
      const before = wire.totals;
      const { tokens, report } = await session.run({
        inputs: { features: features(5, SEED) },
        plan,
        maxTokens: MAX_TOKENS,
        onToken: (token) => heard.push(token),
      });
      expect(tokens, report.plan.id).toEqual(expected);
      expect(heard).toEqual(expected);
      expect(report.abandoned).toEqual([]);
      expect(report.bytesUp, report.plan.id).toBe(wire.bytesUp - before.bytesUp);
      expect(report.bytesDown, report.plan.id).toBe(wire.bytesDown - before.bytesDown);
      const stepped = report.plan.kind === 'split' && report.plan.cut > loopStart(speech);
      const trips = report.plan.kind === 'local' ? 0 : stepped ? MAX_TOKENS : 1;
      expect(report.roundTrips, report.plan.id).toBe(trips);
      expect(wire.framesUp - before.framesUp, report.plan.id).toBe(trips);
      tried.push(report.plan.id);
    }
    expect(new Set(tried).size).toBe(everyPlan(speech).length);
    expect(tried).toContain('local');
    expect(tried).toContain('remote');
    expect(endpoint.activeRequests).toBe(0);
  });

  it('ends where the end token says', async () => {
    expect(eos).toHaveLength(1);
    const endpoint = await startEndpoint(ending);
    const { session, seen } = await open(ending, { port: endpoint.port });
    await seen(isUp);
    const expected = await reference(ending, features(5, SEED), MAX_TOKENS);
    expect(expected.length).toBeGreaterThanOrEqual(4);
    expect(expected.length).toBeLessThan(MAX_TOKENS);
    for (const plan of everyPlan(ending)) {
      const { tokens, report } = await session.run({
        inputs: { features: features(5, SEED) },
        plan,
        maxTokens: MAX_TOKENS,
      });
      expect(tokens, report.plan.id).toEqual(expected);
    }
  });

  it('yields the outputs of a model that has no token loop', async () => {
    const once = await onDisk(await importOnce('once'));
    const endpoint = await startEndpoint(once);
    const { session, seen } = await open(once, { port: endpoint.port });
    await seen(isUp);
    const run = (plan: PlanChoice) => session.run({ inputs: { features: features(5, SEED) }, plan });
    const { outputs } = await run('local');
    expect(Object.keys(outputs)).toEqual(['encoded']);
    for (const { cut } of once.manifest.cuts.slice(0, -1)) {
      const split = await run({ cut, codec: 'fp32' });
      expect(split.outputs, `cut ${cut}`).toEqual(outputs);
      expect(split.tokens).toEqual([]);
      expect(split.report.roundTrips).toBe(1);
    }
  });
});
