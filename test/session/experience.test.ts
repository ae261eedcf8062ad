/** Shared experience in a session: nothing without consent, little with it, and nothing that it could break. */
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { IsthmusError } from '../../src/errors.ts';
import { REPORT_INTERVAL_MS } from '../../src/fleet/ledger.ts';
import { FLEET_VERSION, fleetPath, parseReport } from '../../src/fleet/messages.ts';
import { questionNear } from '../../src/fleet/question.ts';
import type { OpenedPackage } from '../../src/package/node/open-package.ts';
import { MAX_PRIOR_SPREAD } from '../../src/session/opening.ts';
import type { FleetAccess } from '../../src/session/parts.ts';
import { createMemoryJsonStore } from '../../src/storage/json-store.ts';
import { importSpeech, onDisk } from '../endpoint/packages.ts';
import { features, reference } from '../endpoint/with-endpoint.ts';
import { DeviceFiles } from '../fixtures/node-device.ts';
import { open, type Setup, until } from './with-session.ts';

const MAX_TOKENS = 6;
const inputs = { features: features(5, 4) };
const PLACE = 'phone-2-small';

let speech: OpenedPackage;
let expected: number[];

beforeAll(async () => {
  speech = await onDisk(await importSpeech('speech', []));
  expected = await reference(speech, inputs.features, MAX_TOKENS);
});

type Exchange = FleetAccess['exchange'];

const bytes = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const answer = (prior?: unknown) =>
  bytes({ version: FLEET_VERSION, ask: questionNear(0), ...(prior === undefined ? {} : { prior }) });

/** An endpoint's desk that says what it is told to, and notes what it hears. */
function desk(say: () => Promise<Uint8Array> = async () => answer()) {
  const heard: { readonly path: string; readonly body?: string }[] = [];
  const exchange: Exchange = async (path, { body }) => {
    heard.push(body === undefined ? { path } : { path, body });
    return body === undefined ? say() : new Uint8Array();
  };
  const fleet: FleetAccess = { deviceClass: PLACE, exchange, word: () => 0 };
  const reports = () => heard.flatMap(({ body }) => (body === undefined ? [] : [body]));
  return { fleet, heard, reports };
}

/** Opens, and runs on the device until it is known well. */
async function visit(fleet: FleetAccess, setup: Setup = {}) {
  const opened = await open(speech, { shareExperience: true, ...setup, parts: { fleet, ...setup.parts } });
  for (let request = 0; request < 6; request += 1) {
    const { tokens } = await opened.session.run({ inputs, maxTokens: MAX_TOKENS, plan: 'local' });
    expect(tokens).toEqual(expected);
  }
  return opened;
}

describe('without consent', () => {
  it.each([{ shareExperience: false }, {}, { shareExperience: true, plan: 'local' as const }])(
    'nothing is asked or sent: %j',
    async (options) => {
      const { fleet, heard } = desk();
      const { session } = await open(speech, { ...options, parts: { fleet } });
      for (let request = 0; request < 6; request += 1)
        await session.run({ inputs, maxTokens: 6, plan: 'local' });
      await session.close();
      expect(heard).toEqual([]);
    },
  );
});

describe('with consent', () => {
  it('one report is sent when the device is known, of three fields, and the class in the address', async () => {
    const { fleet, heard, reports } = desk();
    const { session } = await visit(fleet);
    await until(() => reports().length > 0);
    await session.run({ inputs, maxTokens: MAX_TOKENS });
    expect(reports()).toHaveLength(1);
    const report = JSON.parse(reports()[0] ?? '');
    expect(Object.keys(report).sort()).toEqual(['question', 'slower', 'version']);
    expect(parseReport(bytes(report)).question).toBe(questionNear(0));
    expect(new Set(heard.map(({ path }) => path))).toEqual(new Set([fleetPath('speech', 'wasm', PLACE)]));
  });

  it('says the truth or its opposite as the random word has it', async () => {
    const said = [];
    for (const word of [0, 2 ** 32 - 1]) {
      const { fleet, reports } = desk();
      await visit({ ...fleet, word: () => word }, { device: { reportMs: () => 1e4 } });
      await until(() => reports().length > 0);
      said.push(JSON.parse(reports()[0] ?? '').slower);
    }
    // Ten seconds a run is slower than anyone expects.
    expect(said).toEqual([true, false]);
  });

  it('another visit within a month reports nothing, and one after it does', async () => {
    const store = createMemoryJsonStore();
    let epoch = 1e12;
    const clock = { now: () => performance.now(), epoch: () => epoch };
    const first = desk();
    await visit(first.fleet, { store, clock });
    await until(() => first.reports().length > 0);
    const second = desk();
    await visit(second.fleet, { store, clock });
    expect(second.heard).toEqual([]);
    epoch += REPORT_INTERVAL_MS;
    const third = desk();
    await visit({ ...third.fleet, word: () => 2 ** 32 - 1 }, { store, clock });
    await until(() => third.reports().length > 0);
    // The same truth on the same question: the same answer, whatever the coin says now.
    expect(third.reports()).toEqual(first.reports());
  });

  it('a ledger that cannot be read or written forbids a report', async () => {
    for (const call of ['get', 'set'] as const) {
      const memory = createMemoryJsonStore();
      const fails = (key: string) =>
        key === 'fleet-ledger' ? Promise.reject(new IsthmusError('storage-failed', 'no')) : undefined;
      const { fleet, reports } = desk();
      const store = {
        ...memory,
        get: async (key: string) => (call === 'get' ? await fails(key) : undefined) ?? memory.get(key),
        set: async (key: string, value: Parameters<typeof memory.set>[1]) =>
          (call === 'set' ? await fails(key) : undefined) ?? memory.set(key, value),
      };
      const { session } = await visit(fleet, { store });
      await session.close();
      expect(reports()).toEqual([]);
    }
  });
});

describe('a new device', () => {
  /** Its weights have still to come, over a network that the test holds up. */
  function waiting() {
    const files = new DeviceFiles(speech, 'none');
    let go: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      go = resolve;
    });
    files.beforeFetch = () => held;
    return { files, go };
  }

  it('plans by what others told before it could measure itself, and is measured after all', async () => {
    const { fleet } = desk(async () => answer({ octaves: 3, spread: 1 }));
    const { files, go } = waiting();
    const { session, events } = await open(speech, { shareExperience: true, files, parts: { fleet } });
    const workload = { units: 5, tokens: 4 };
    const told = (await session.explain(workload)).plans.find(({ id }) => id === 'local');
    expect(events.some(({ type }) => type === 'profile')).toBe(false);
    go();
    await until(() => events.some(({ type }) => type === 'profile'));
    const { tokens } = await session.run({ inputs, maxTokens: MAX_TOKENS });
    expect(tokens).toEqual(expected);
    const measured = (await session.explain(workload)).plans.find(({ id }) => id === 'local');
    expect(measured?.prediction.totalMs).not.toBe(told?.prediction.totalMs);
  });

  it('believes a factor as it was told', async () => {
    const expectation = async (octaves: number): Promise<number> => {
      const { fleet } = desk(async () => answer({ octaves, spread: 1 }));
      const { files, go } = waiting();
      const { session } = await open(speech, { shareExperience: true, files, parts: { fleet } });
      const { plans } = await session.explain({ units: 5, tokens: 4 });
      go();
      return plans.find(({ id }) => id === 'local')?.prediction.deviceMs ?? Number.NaN;
    };
    expect((await expectation(3)) / (await expectation(-1))).toBeCloseTo(16, 6);
  });

  it.each([
    ['that is too wide', async () => answer({ octaves: 0, spread: MAX_PRIOR_SPREAD + 0.1 })],
    ['that never comes', () => new Promise<Uint8Array>(() => undefined)],
    ['that fails', () => Promise.reject(new IsthmusError('endpoint-lost', 'nobody is there'))],
    ['that is absurd', async () => answer({ octaves: 1e300, spread: 0 })],
    ['that is none', async () => new TextEncoder().encode('<html>')],
  ])('does not wait for a prior %s', async (_, say) => {
    const { fleet } = desk(say);
    const { events, session } = await open(speech, { shareExperience: true, parts: { fleet } });
    expect(events.find(({ type }) => type === 'profile')).toMatchObject({ cached: false });
    const { tokens } = await session.run({ inputs, maxTokens: MAX_TOKENS });
    expect(tokens).toEqual(expected);
  });

  it('works on, whatever it was told', async () => {
    const lie = fc.oneof(
      fc.uint8Array(),
      fc.record({ octaves: fc.constantFrom(-8, 8), spread: fc.constantFrom(0, 1) }).map(answer),
      fc.jsonValue().map(answer),
    );
    await fc.assert(
      fc.asyncProperty(lie, async (said) => {
        const { fleet } = desk(async () => said);
        const { session } = await open(speech, { shareExperience: true, parts: { fleet } });
        const { tokens } = await session.run({ inputs, maxTokens: MAX_TOKENS });
        await session.close();
        expect(tokens).toEqual(expected);
      }),
      { numRuns: 15 },
    );
  });
});
