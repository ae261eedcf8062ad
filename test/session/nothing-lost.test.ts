/** The endpoint goes at every token of every plan: no token is lost, none comes twice, none changes. */
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import type { Endpoint } from '../../src/endpoint/endpoint.ts';
import { IsthmusError } from '../../src/errors.ts';
import type { OpenedPackage } from '../../src/package/node/open-package.ts';
import type { PlanChoice } from '../../src/session/types.ts';
import { importSpeech, onDisk } from '../endpoint/packages.ts';
import { features, reference } from '../endpoint/with-endpoint.ts';
import { isDown, isUp, type Opened, open, paced, startEndpoint, until } from './with-session.ts';

const MAX_TOKENS = 8;
/** Of an input whose tokens hardly repeat. */
const SEED = 4;

let speech: OpenedPackage;
let expected: number[];

beforeAll(async () => {
  speech = await onDisk(await importSpeech('speech', []));
  expected = await reference(speech, features(5, SEED), MAX_TOKENS);
});

/** How an endpoint goes, at the moment before it makes a token. */
type Blow = 'cut the wire' | 'close the endpoint' | 'crash its runner';

/** An endpoint that is struck before it makes token `at`, once all tokens before that have been heard. */
async function fragile() {
  const struck = { at: -1, count: 0, blow: async (): Promise<void> => undefined };
  const heard: number[] = [];
  let made = 0;
  const endpoint: Endpoint = await startEndpoint(speech, {
    createRunner: paced(async () => {
      const at = made;
      made += 1;
      if (at !== struck.at) return;
      await until(() => heard.length >= at);
      struck.count += 1;
      await struck.blow();
    }),
  });
  const arm = (at: number, blow: () => Promise<void>): void => {
    heard.length = 0;
    made = 0;
    Object.assign(struck, { at, blow, count: 0 });
  };
  return { endpoint, heard, arm, struck };
}

function blowOf(kind: Blow, { wire }: Opened, endpoint: Endpoint): () => Promise<void> {
  if (kind === 'cut the wire') return async () => wire.cut();
  if (kind === 'close the endpoint') {
    return async () => {
      void endpoint.close({ graceMs: 0 });
      // Its grace is a timer of 0 ms, and timers of one length fire in the order in which they were set.
      await new Promise((resolve) => setTimeout(resolve, 0));
    };
  }
  return async () => {
    throw new IsthmusError('worker-lost', 'the endpoint ran out of memory');
  };
}

function run({ session }: Opened, plan: PlanChoice, heard: number[] = []) {
  return session.run({
    inputs: { features: features(5, SEED) },
    plan,
    maxTokens: MAX_TOKENS,
    onToken: (token) => heard.push(token),
  });
}

describe('an endpoint that goes in the middle of a request', () => {
  it.each<Blow>(['cut the wire', 'close the endpoint', 'crash its runner'])(
    'costs no token at any cut and index: %s',
    async (kind) => {
      const cuts = speech.manifest.blocks.length;
      for (let cut = 0; cut < cuts; cut += 1) {
        let fixture = await fragile();
        let opened = await open(speech, { port: () => fixture.endpoint.port });
        for (let at = 0; at < MAX_TOKENS; at += 1) {
          if (kind === 'close the endpoint' && at > 0) {
            fixture = await fragile();
            opened = await open(speech, { port: () => fixture.endpoint.port });
          }
          const { endpoint, heard, arm, struck } = fixture;
          arm(-1, async () => undefined);
          // The connection of the case before may still be on its way back: weights are here, so it is not waited for.
          await until(() => opened.events.findLast((event) => event.type === 'endpoint')?.state === 'up');
          arm(at, blowOf(kind, opened, endpoint));
          const { tokens, report } = await run(opened, { cut, codec: 'fp32' }, heard);
          const name = `cut ${cut}, token ${at}`;
          expect(tokens, name).toEqual(expected);
          expect(heard, name).toEqual(expected);
          expect(struck.count, name).toBe(1);
          // Nothing is taken back that was finished: the last token may still be said.
          const isLast = kind === 'close the endpoint' && at === MAX_TOKENS - 1;
          if (isLast && report.abandoned.length === 0) continue;
          expect(report.plan.id, name).toBe('local');
          expect(report.abandoned, name).toHaveLength(1);
          expect(report.abandoned[0]?.plan, name).toBe(cut === 0 ? 'remote' : `split@${cut}/fp32`);
          arm(-1, async () => undefined);
          const next = await run(opened, 'auto');
          expect(next.tokens, name).toEqual(expected);
          expect(next.report.abandoned, name).toEqual([]);
        }
      }
    },
  );

  it('may go and come back any number of times, under any plans', async () => {
    const { endpoint, heard, arm } = await fragile();
    const opened = await open(speech, { port: endpoint.port });
    const blow = fc.constantFrom<Blow>('cut the wire', 'crash its runner');
    const plan = fc.oneof(
      fc.constant<PlanChoice>('auto'),
      fc.constant<PlanChoice>('remote'),
      fc.record({ cut: fc.nat(speech.manifest.blocks.length), codec: fc.constant('fp32' as const) }),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(plan, fc.nat(MAX_TOKENS), blow), { maxLength: 4 }),
        async (story) => {
          for (const [choice, at, kind] of story) {
            arm(at, blowOf(kind, opened, endpoint));
            const { tokens } = await run(opened, choice, heard);
            expect(tokens).toEqual(expected);
            expect(heard).toEqual(expected);
            arm(-1, async () => undefined);
          }
        },
      ),
      { numRuns: 25 },
    );
    await until(() => endpoint.activeRequests === 0);
  });

  it('is gone before a request, and back at the same port after it', async () => {
    const first = await startEndpoint(speech);
    const { port } = first;
    let later = 0;
    const clock = { now: () => systemClock.now() + later, epoch: () => systemClock.epoch() + later };
    const opened = await open(speech, { port, clock });
    await opened.seen(isUp);
    expect((await run(opened, 'remote')).report.plan.kind).toBe('remote');
    await first.close({ graceMs: 0 });
    await opened.seen(isDown);
    const alone = await run(opened, 'auto');
    expect(alone.tokens).toEqual(expected);
    expect(alone.report).toMatchObject({ abandoned: [], bytesUp: 0, plan: { id: 'local' } });

    const second = await startEndpoint(speech, { port });
    opened.events.length = 0;
    // Not beside every request, but some time after the last attempt the one that finds it down looks for it meanwhile.
    later += 60_000;
    expect((await run(opened, 'auto')).tokens).toEqual(expected);
    await opened.seen(isUp);
    const { report, tokens } = await run(opened, 'remote');
    expect(tokens).toEqual(expected);
    expect(report).toMatchObject({ abandoned: [], plan: { kind: 'remote' } });
    expect(second.activeRequests).toBe(0);
  });

  it('takes over tokens that are known, and makes no more than were asked for', async () => {
    // The runner crashes once and the endpoint stays: another plan that streams goes on with a prefix.
    const { endpoint, heard, arm } = await fragile();
    // Slow here, quick there: the planner stays with the endpoint.
    const device = { reportMs: () => 1_000 };
    const opened = await open(speech, { port: endpoint.port, device });
    await opened.seen(isUp);
    await run(opened, 'remote');
    for (let at = 1; at < MAX_TOKENS; at += 1) {
      arm(at, blowOf('crash its runner', opened, endpoint));
      const { tokens, report } = await run(opened, 'auto', heard);
      expect(report.abandoned).toHaveLength(1);
      expect(report.plan.kind).not.toBe('local');
      expect(report.abandoned[0]?.plan).not.toBe(report.plan.id);
      expect(report.abandoned[0]?.error.code).toBe('endpoint-failed');
      expect(tokens).toEqual(expected);
      expect(heard).toEqual(expected);
    }
  });
});
