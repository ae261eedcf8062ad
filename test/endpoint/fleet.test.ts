/** Reports and priors over HTTP: bounded, typed, counted, and kept across restarts where that is asked for. */
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { createEndpoint } from '../../src/endpoint/endpoint.ts';
import {
  MAX_COUNTED_ADDRESSES,
  MAX_REPORTS_PER_ADDRESS,
  ReportGate,
} from '../../src/endpoint/report-gate.ts';
import { fleetPath, MAX_FLEET_BYTES, parseAnswer } from '../../src/fleet/messages.ts';
import { MIN_VOTES } from '../../src/fleet/tally.ts';
import type { OpenedPackage } from '../../src/package/node/open-package.ts';
import { exchangeSmall } from '../../src/transport/http-small.ts';
import { rejection } from '../session/with-session.ts';
import { importSpeech, onDisk } from './packages.ts';
import { start } from './with-endpoint.ts';

const PATH = fleetPath('speech', 'wasm', 'phone-2-small');
const signal = new AbortController().signal;

let speech: OpenedPackage;

beforeAll(async () => {
  speech = await onDisk(await importSpeech('speech', []));
});

const ask = async (url: string, path = PATH) =>
  parseAnswer(await exchangeSmall(url + path, { fetch, limit: MAX_FLEET_BYTES, signal }));

const tell = (url: string, report: unknown, path = PATH) =>
  exchangeSmall(url + path, { fetch, limit: MAX_FLEET_BYTES, body: JSON.stringify(report), signal });

const report = (slower = true) => ({ version: 1, question: 20, slower });

describe('an endpoint that was not asked to', () => {
  it('takes no reports', async () => {
    const { url } = await start({ packages: [speech], warm: false });
    expect((await fetch(url + PATH)).status).toBe(404);
    expect(await rejection(tell(url, report()))).toMatchObject({ code: 'unknown-model' });
  });
});

describe('an endpoint with a fleet', () => {
  it('says what is believed once enough has come', async () => {
    // Votes fade from the moment on in which they came: here no time passes.
    const clock = { now: systemClock.now, epoch: () => 1e12 };
    const endpoint = await start({ packages: [speech], warm: false, fleet: true, clock });
    const { url } = endpoint;
    for (let index = 0; index < MIN_VOTES - 1; index += 1) await tell(url, report());
    expect((await ask(url)).prior).toBeUndefined();
    expect((await tell(url, report())).byteLength).toBe(0);
    const { prior } = await ask(url);
    expect(prior?.octaves).toBeGreaterThan(1);
    expect((await ask(url, fleetPath('speech', 'webgpu', 'phone-2-small'))).prior).toBeUndefined();
    expect(endpoint.metrics().fleet).toEqual({ report: MIN_VOTES, prior: 1, 'no-prior': 2 });
    const text = await (await fetch(`${url}/metrics`)).text();
    expect(text).toContain(`isthmus_fleet_total{outcome="report"} ${MIN_VOTES}\n`);
  });

  it('refuses what is not a report, and lives on', async () => {
    const endpoint = await start({ packages: [speech], warm: false, fleet: true });
    const { url } = endpoint;
    expect(await rejection(tell(url, { ...report(), name: 'me' }))).toMatchObject({ code: 'bad-frame' });
    expect(await rejection(tell(url, 'x'.repeat(MAX_FLEET_BYTES)))).toMatchObject({ code: 'limit-exceeded' });
    expect(await rejection(tell(url, report(), PATH.replace('speech', 'nobody')))).toMatchObject({
      code: 'unknown-model',
    });
    for (const path of [PATH.replace('wasm', 'cpu'), PATH.replace('phone', 'watch'), `${PATH}/more`]) {
      expect((await fetch(url + path)).status).toBe(404);
    }
    expect((await fetch(url + PATH, { method: 'PUT' })).status).toBe(405);
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (body) => {
        const { status } = await fetch(url + PATH, { method: 'POST', body: new Uint8Array(body) });
        expect(status).toBe(400);
      }),
      { numRuns: 30 },
    );
    expect(endpoint.metrics().fleet.report).toBeUndefined();
    expect((await ask(url)).prior).toBeUndefined();
  });

  it('takes only so many from one address', async () => {
    const { url } = await start({ packages: [speech], warm: false, fleet: true });
    for (let index = 0; index < MAX_REPORTS_PER_ADDRESS; index += 1) await tell(url, report());
    const refused = await fetch(url + PATH, { method: 'POST', body: JSON.stringify(report()) });
    expect(refused.status).toBe(429);
    expect((await ask(url)).prior).toBeDefined();
  });

  it('keeps what it heard in a file, and only that', async () => {
    const file = join(await mkdtemp(join(tmpdir(), 'isthmus-fleet-')), 'fleet.json');
    const first = await createEndpoint({ packages: [speech], warm: false, fleet: { file } });
    for (let index = 0; index < MIN_VOTES + 1; index += 1) await tell(first.url, report());
    await first.close({ graceMs: 0 });
    const kept = await readFile(file, 'utf8');
    expect(kept).not.toContain('127.0.0.1');
    const { url } = await start({ packages: [speech], warm: false, fleet: { file } });
    expect((await ask(url)).prior?.octaves).toBeGreaterThan(1);
  });

  it('does not write over a file that is not its own', async () => {
    const file = join(await mkdtemp(join(tmpdir(), 'isthmus-fleet-')), 'letter.txt');
    for (const text of ['dear all', '[]', '{"format":"other","cells":[]}']) {
      await writeFile(file, text);
      const refused = createEndpoint({ packages: [speech], warm: false, fleet: { file } });
      expect(await rejection(refused)).toMatchObject({ code: 'bad-option' });
      expect(await readFile(file, 'utf8')).toBe(text);
    }
  });
});

describe('the gate of reports', () => {
  const fill = (gate: ReportGate, address: string) => {
    for (let index = 0; index < MAX_REPORTS_PER_ADDRESS; index += 1) gate.pass(address, 0);
  };

  it('opens again after an hour, also when the clock was set back', () => {
    const gate = new ReportGate();
    fill(gate, '10.0.0.1');
    expect(() => gate.pass('10.0.0.1', 3_599_999)).toThrow('later');
    gate.pass('10.0.0.2', 0);
    gate.pass('10.0.0.1', 3_600_000);
    gate.pass('10.0.0.1', -1e9);
  });

  it('takes an IPv6 network for one sender', () => {
    const gate = new ReportGate();
    fill(gate, '2001:db8:1:2::7');
    expect(() => gate.pass('2001:db8:1:2:ffff::1', 0)).toThrow('later');
    gate.pass('2001:db8:1:3::7', 0);
    fill(gate, '::ffff:10.0.0.1');
    gate.pass('::ffff:10.0.0.2', 0);
  });

  it('counts no more addresses than it may hold', () => {
    const gate = new ReportGate();
    for (let index = 0; index < MAX_COUNTED_ADDRESSES; index += 1) gate.pass(`${index}`, 0);
    expect(() => gate.pass('one more', 0)).toThrow('later');
    gate.pass('0', 0);
  });
});
