/** Plans are chosen by what was measured, and say so. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { Codec } from '../../src/core/span.ts';
import type { OpenedPackage } from '../../src/package/node/open-package.ts';
import { enumeratePlans } from '../../src/planner/enumerate.ts';
import { importSpeech, onDisk } from '../endpoint/packages.ts';
import { features } from '../endpoint/with-endpoint.ts';
import { isDown, isUp, open, startEndpoint } from './with-session.ts';

const inputs = { features: features(5, 4) };
const SLOW = { reportMs: () => 500 };
const QUICK = { reportMs: () => 0.01 };

let speech: OpenedPackage;

beforeAll(async () => {
  speech = await onDisk(await importSpeech('speech', []));
});

async function connected(device: { readonly reportMs: () => number }, codecs?: readonly Codec[]) {
  const endpoint = await startEndpoint(speech);
  const setup = { port: endpoint.port, device, ...(codecs === undefined ? {} : { codecs }) };
  const opened = await open(speech, setup);
  await opened.seen(isUp);
  return { ...opened, endpoint };
}

describe('the plan', () => {
  it('leaves a slow device for an endpoint, as long as there is one', async () => {
    const { session, endpoint, events, seen } = await connected(SLOW);
    const { report } = await session.run({ inputs, maxTokens: 4 });
    expect(report.plan.kind).toBe('remote');
    expect(report.reason).not.toBe('');
    expect(report.plan.leaves).toEqual(['features']);
    await endpoint.close({ graceMs: 0 });
    await seen(isDown);
    expect((await session.run({ inputs, maxTokens: 4 })).report.plan.id).toBe('local');
    const plans = events.flatMap((event) => (event.type === 'plan' ? [event] : []));
    expect(plans.map(({ plan }) => plan.kind)).toEqual(['remote', 'local']);
    for (const { reason } of plans) expect(reason).not.toBe('');
  });

  it('stays on a device that is quicker than any round trip', async () => {
    const { session } = await connected(QUICK);
    const { report } = await session.run({ inputs, maxTokens: 4 });
    expect(report.plan.id).toBe('local');
    expect(report.bytesUp).toBe(0);
  });

  it('follows what requests showed: a device that turns slow is left', async () => {
    let ms = 0.01;
    const endpoint = await startEndpoint(speech);
    const { session, seen } = await open(speech, {
      port: endpoint.port,
      device: { reportMs: () => ms },
    });
    await seen(isUp);
    expect((await session.run({ inputs, maxTokens: 4 })).report.plan.id).toBe('local');
    ms = 2_000;
    const kinds: string[] = [];
    for (let request = 0; request < 10; request += 1) {
      kinds.push((await session.run({ inputs, maxTokens: 4 })).report.plan.kind);
    }
    expect(kinds[0]).toBe('local');
    expect(kinds.at(-1)).not.toBe('local');
  });
});

describe('an explanation', () => {
  it('lists every plan with its prediction, the chosen one first', async () => {
    const codecs = ['fp32', 'fp16'] as const;
    const { session, seen, endpoint } = await connected(SLOW, codecs);
    await session.run({ inputs, maxTokens: 4 });
    const up = await session.explain();
    const all = enumeratePlans(speech.manifest, {
      choice: 'auto',
      codecs,
      hasEndpoint: true,
    });
    expect(new Set(up.plans.map(({ id }) => id))).toEqual(new Set(all.map(({ id }) => id)));
    expect(up.plans[0]).toEqual(up.chosen);
    expect(up).toMatchObject({ endpoint: 'up', chosen: { kind: 'remote' } });
    expect(up.reason).not.toBe('');
    expect(up.link.rttMs).toBeGreaterThan(0);
    for (const { id, prediction } of up.plans) {
      for (const [name, value] of Object.entries(prediction)) {
        expect(Number.isFinite(value) && value >= 0, `${id} ${name}`).toBe(true);
      }
    }
    const totals = up.plans.map(({ prediction }) => prediction.totalMs);
    expect(totals).toEqual([...totals].sort((a, b) => a - b));

    await endpoint.close({ graceMs: 0 });
    await seen(isDown);
    const down = await session.explain();
    expect(down).toMatchObject({ endpoint: 'down', chosen: { id: 'local' } });
    expect(down.plans.filter(({ rejected }) => rejected === undefined)).toHaveLength(1);
    expect(down.plans).toHaveLength(all.length);
  });

  it('is for the workload that is asked about, and works without an endpoint', async () => {
    const { session } = await open(speech);
    const small = await session.explain({ units: 10, tokens: 1 });
    const large = await session.explain({ units: 1_000, tokens: 100 });
    expect(small.plans.map(({ id }) => id)).toEqual(['local']);
    expect(large.chosen.prediction.totalMs).toBeGreaterThan(small.chosen.prediction.totalMs);
    expect(large).toMatchObject({ endpoint: 'down', workload: { units: 1_000, tokens: 100 } });
  });
});
