/** What opening waits for: an endpoint that answers, and nothing else; without one, all that answers here. */
import { beforeAll, describe, expect, it } from 'vitest';
import { IsthmusError } from '../../src/errors.ts';
import { MIN_PROBE_TRANSFER_BYTES } from '../../src/link/probe.ts';
import type { OpenedPackage } from '../../src/package/node/open-package.ts';
import type { SessionEvent } from '../../src/session/types.ts';
import { createMemoryJsonStore } from '../../src/storage/json-store.ts';
import { importSpeech, onDisk } from '../endpoint/packages.ts';
import { features, reference } from '../endpoint/with-endpoint.ts';
import { DeviceFiles } from '../fixtures/node-device.ts';
import { open, rejection, startEndpoint, until, Wire } from './with-session.ts';

const MAX_TOKENS = 6;
const inputs = { features: features(5, 4) };

let speech: OpenedPackage;
let expected: number[];

beforeAll(async () => {
  speech = await onDisk(await importSpeech('speech', []));
  expected = await reference(speech, inputs.features, MAX_TOKENS);
});

/** Something that is waited for until the test lets it go on. */
function gate() {
  let letGo: () => void = () => undefined;
  const held = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  return { held, letGo };
}

const isProfile = ({ type }: SessionEvent): boolean => type === 'profile';
const remote = { inputs, maxTokens: MAX_TOKENS, plan: 'remote' } as const;
const silence = () => new Promise<never>(() => undefined);

describe('a first visit', () => {
  it('is answered by the endpoint before runtime or weights have come, and measured behind that', async () => {
    const { port } = await startEndpoint(speech);
    const files = new DeviceFiles(speech, 'none');
    const runtime = gate();
    const device = { start: () => runtime.held };
    const opened = await open(speech, { port, files, device, prefetch: true });
    const asking = opened.session.run(remote);
    expect((await asking).tokens).toEqual(expected);
    const shards = speech.manifest.blocks.flatMap((block) => block.shards);
    expect(files.fetched.filter((file) => shards.includes(file))).toEqual([]);
    expect(opened.events.some(isProfile)).toBe(false);
    runtime.letGo();
    await opened.seen(isProfile);
    await opened.seen((event) => event.type === 'weights' && event.done === event.total);
  });

  it.each([
    ['not where nothing could run here', 'none'],
    ['where there is a choice', 'all'],
  ] as const)('looks at the line before it answers who asks at once: %s', async (_, held) => {
    const { port } = await startEndpoint(speech);
    const files = new DeviceFiles(speech, held);
    const { session, wire } = await open(speech, { port, files, prefetch: true });
    let sentByThen: number | undefined;
    const onToken = (): void => {
      sentByThen ??= wire.bytesUp;
    };
    const { tokens } = await session.run({ inputs, maxTokens: MAX_TOKENS, onToken });
    expect(tokens).toEqual(expected);
    expect((sentByThen ?? 0) > MIN_PROBE_TRANSFER_BYTES).toBe(held === 'all');
  });

  it('fetches and starts nothing at all for what runs at the endpoint, where nothing is to be fetched ahead', async () => {
    const { port } = await startEndpoint(speech);
    const files = new DeviceFiles(speech, 'none');
    const { session, devices } = await open(speech, { port, files, prefetch: false });
    for (let request = 0; request < 3; request += 1) {
      expect((await session.run(remote)).tokens).toEqual(expected);
    }
    expect(files.fetched).toEqual([]);
    expect(devices[0]?.starts).toBe(0);
  });

  it('is measured when the user fetches the weights', async () => {
    const { port } = await startEndpoint(speech);
    const files = new DeviceFiles(speech, 'none');
    const { session, seen } = await open(speech, { port, files, prefetch: false });
    await session.prefetch();
    await seen(isProfile);
  });

  it('has a device priced with the runtime that has to come', async () => {
    const { port } = await startEndpoint(speech);
    const files = new DeviceFiles(speech, 'none');
    const { session } = await open(speech, { port, files, prefetch: false });
    const before = (await session.explain()).plans.find(({ id }) => id === 'local');
    await session.run({ inputs, maxTokens: 1, plan: 'local' });
    const after = (await session.explain()).plans.find(({ id }) => id === 'local');
    // 14 MB and a start; the weights of the test's model are nothing beside that.
    expect(before?.prediction.weightsMs).toBeGreaterThan(500);
    expect(after?.prediction.weightsMs).toBe(0);
  });
});

describe('the first measurement', () => {
  it('keeps no request waiting, and does not count when one came in between', async () => {
    const { port } = await startEndpoint(speech);
    const files = new DeviceFiles(speech, 'none');
    const run = gate();
    const device = { beforeRun: () => run.held };
    const { session, devices, events, seen } = await open(speech, { port, files, device, prefetch: true });
    await until(() => (devices[0]?.runs ?? 0) > 0);
    expect((await session.run(remote)).tokens).toEqual(expected);
    expect(events.some(isProfile)).toBe(false);
    run.letGo();
    await seen(isProfile);
    expect(events.filter(isProfile)).toHaveLength(1);
  });

  it('takes its turn at last from whoever asks without end', async () => {
    const { port } = await startEndpoint(speech);
    const files = new DeviceFiles(speech, 'none');
    const { session, events } = await open(speech, { port, files, prefetch: true });
    while (!events.some(isProfile)) await session.run(remote);
  });

  it('ends with its session', async () => {
    const { port } = await startEndpoint(speech);
    const files = new DeviceFiles(speech, 'none');
    const { session, devices, events } = await open(speech, {
      port,
      files,
      device: { beforeRun: silence },
      prefetch: true,
    });
    await until(() => (devices[0]?.runs ?? 0) > 0);
    await session.close();
    expect(events.some(isProfile)).toBe(false);
  });
});

describe('without an endpoint that answers', () => {
  const broken = async () => {
    throw new IsthmusError('no-provider', 'no WebAssembly here');
  };
  const refused = async () => {
    throw new IsthmusError('endpoint-lost', 'nobody is there');
  };

  it.each(['none', 'all'] as const)(
    'a runtime that does not start fails opening; weights here: %s',
    async (here) => {
      for (const connect of [undefined, refused]) {
        const files = new DeviceFiles(speech, here);
        const setup = { files, device: { start: broken }, ...(connect === undefined ? {} : { connect }) };
        expect(await rejection(open(speech, setup))).toMatchObject({ code: 'no-provider' });
      }
    },
  );

  it('one that has measured waits for the runtime alone', async () => {
    const store = createMemoryJsonStore();
    await open(speech, { store });
    const setup = { store, device: { start: broken }, connect: refused };
    expect(await rejection(open(speech, setup))).toMatchObject({ code: 'no-provider' });
  });

  it('opening measures, over a network that is there', async () => {
    const files = new DeviceFiles(speech, 'none');
    const { events } = await open(speech, { files, connect: refused });
    expect(events.some(isProfile)).toBe(true);
  });

  it('and one that answers late ends the wait', async () => {
    const { port } = await startEndpoint(speech);
    const files = new DeviceFiles(speech, 'none');
    const late = gate();
    const connect = new Wire().connect(() => port);
    let runs = 0;
    const opening = open(speech, {
      files,
      prefetch: false,
      connect: async (options) => {
        await late.held;
        return connect(options);
      },
      device: {
        beforeRun: () => {
          runs += 1;
          return silence();
        },
      },
      parts: { timeout: (ms) => (ms < 5_000 ? AbortSignal.abort() : new AbortController().signal) },
    });
    await until(() => runs > 0);
    late.letGo();
    const { session } = await opening;
    expect((await session.run(remote)).tokens).toEqual(expected);
  });
});

describe('a later visit', () => {
  it('plans by what is known, starts the runtime at once, and waits for it only to run here', async () => {
    const { port } = await startEndpoint(speech);
    const store = createMemoryJsonStore();
    await open(speech, { store });
    const runtime = gate();
    const { session, devices, events } = await open(speech, {
      port,
      store,
      device: { start: () => runtime.held },
    });
    expect(events.find(isProfile)).toMatchObject({ cached: true });
    expect(devices[0]?.starts).toBe(1);
    expect((await session.run(remote)).tokens).toEqual(expected);
    const here = session.run({ inputs, maxTokens: MAX_TOKENS, plan: 'local' });
    runtime.letGo();
    expect((await here).tokens).toEqual(expected);
  });
});

describe('a runtime that does not start', () => {
  it('leaves requests to the endpoint, and fails those that may run here alone', async () => {
    const { port } = await startEndpoint(speech);
    const files = new DeviceFiles(speech, 'none');
    const start = async () => {
      throw new IsthmusError('no-provider', 'no WebAssembly here');
    };
    const { session } = await open(speech, { port, files, device: { start }, prefetch: false });
    const error = await rejection(session.run({ inputs, maxTokens: MAX_TOKENS, plan: 'local' }));
    expect(error).toMatchObject({ code: 'no-provider' });
    const { tokens, report } = await session.run({ inputs, maxTokens: MAX_TOKENS });
    expect(tokens).toEqual(expected);
    expect(report.plan.kind).toBe('remote');
    expect((await session.explain()).plans.find(({ id }) => id === 'local')?.rejected).toBeDefined();
  });
});
