import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const script = fileURLToPath(new URL('../../bench/report.mjs', import.meta.url));
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-report-'));
});
afterAll(() => rm(folder, { recursive: true }));

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function report(text: string, ...args: string[]): Promise<Ran> {
  const file = join(folder, 'lines.jsonl');
  await writeFile(file, text);
  return new Promise((resolve) => {
    execFile(process.execPath, [script, file, ...args], (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

async function page(text: string, ...args: string[]): Promise<string> {
  const out = join(folder, 'report.html');
  const { code, stderr } = await report(text, '--html', out, ...args);
  expect(stderr).toBe('');
  expect(code).toBe(0);
  return readFile(out, 'utf8');
}

const line = (link: string, regret: number, other: object = {}): string =>
  `${JSON.stringify({
    scenario: { device: '1 thread', link, work: '4 s', cache: 'warm', load: 'idle' },
    plan: 'remote',
    ms: { ttft: 50, total: 100 * (1 + regret) },
    tokensPerSecond: 12.5,
    bytesUp: 98_700,
    bytesDown: 831,
    roundTrips: 1,
    predictedMs: 95,
    oracle: { plan: 'remote', ms: 100 },
    allLocalMs: 240,
    allRemoteMs: 100,
    fixedMiddleMs: 150,
    regret,
    ...other,
  })}\n`;

const offline = line('offline', 0, { plan: 'local', allRemoteMs: null, fixedMiddleMs: null });

describe('the report of a grid', () => {
  it('says which targets are met, and counts', async () => {
    const good = await report(line('lan', 0.01) + line('3g', 0.02));
    expect(good.stdout).toContain('mean 1.5% (at most 3.0%: MET)');
    expect(good.stdout).toContain('within 1.05x of the better pure plan: 2 of 2 (MET)');
    const bad = await report(line('lan', 0.01) + line('3g', 0.31));
    expect(bad.stdout).toContain('(at most 3.0%: NOT MET), 95th percentile 29.5% (at most 10.0%: NOT MET)');
    expect(bad.stdout).toContain('1 of 2 (NOT MET)');
  });

  it('says what a planner that costs nothing would be seen to reach where runs of one plan differ', async () => {
    const choosing = { ratio: 1.06, autoMs: [150, 90, 106], toldMs: [100, 120, 100] };
    const told = line('lan', 0.06, { ms: { total: 106, ttft: 40 }, choosing });
    const { stdout } = await report(told + offline);
    expect(stdout).toMatch(/within 1\.05x of the better pure plan: 1 of 2 .*costs nothing 2 would be/);
    // Without pairs nothing is said.
    expect((await report(offline)).stdout).not.toContain('costs nothing');
  });

  it('takes the latest of two lines for one scenario', async () => {
    const { stdout } = await report(line('lan', 0.5) + line('lan', 0));
    expect(stdout).toContain('mean 0.0%');
  });

  it('draws every scenario once in each chart, with nothing from elsewhere', async () => {
    const html = await page(line('lan', 0.01) + line('3g', 0.02) + offline);
    expect(html.match(/<circle /g)).toHaveLength(3);
    expect(html.match(/<rect /g)).toHaveLength(3);
    expect(html.match(/<td class="(local|remote|split)">/g)).toHaveLength(3);
    expect(html).not.toMatch(/<script|https?:|src=|@import|url\(/);
    expect(html).not.toMatch(/NaN|undefined|Infinity/);
  });

  it('escapes what came from outside, in page and table', async () => {
    const nasty = '<img src=x onerror=1>"|`';
    const text = line(nasty, 0, { plan: nasty, oracle: { plan: nasty, ms: 100 } });
    const html = await page(text, '--title', nasty, '--machine', nasty);
    expect(html).not.toContain('<img');
    expect(html).toContain('&lt;img src=x onerror=1&gt;&quot;|`');
    const { stdout } = await report(text, '--markdown');
    expect(stdout.split('\n')[2]).toContain('\\<img src=x onerror=1>"\\|\\`');
  });

  it('is a table for a README', async () => {
    const { stdout } = await report(line('lan', 0.01) + offline, '--markdown');
    const rows = stdout.split('\n').filter((row) => row.startsWith('|'));
    expect(rows).toHaveLength(4);
    expect(new Set(rows.map((row) => row.split('|').length)).size).toBe(1);
    expect(rows[3]).toContain('–');
  });

  it('names devices that are absent, and why', async () => {
    const absent = `${JSON.stringify({ absent: { device: 'half a core', reason: 'no <groups>' } })}\n`;
    const { stdout } = await report(line('lan', 0.01) + absent);
    expect(stdout).toContain("device 'half a core' is absent: no <groups>");
    const html = await page(line('lan', 0.01) + absent);
    expect(html).toContain('is absent: no &lt;groups&gt;');
    expect(html.match(/<circle /g)).toHaveLength(1);
  });

  it('compares with others, and with what the endpoint spends on all-remote', async () => {
    const cpu = { clientCpuMs: 30, endpointCpuMs: 40, allRemoteEndpointCpuMs: 80 };
    const peers = { pcm16: { ms: 202 }, opus: { ms: null } };
    const text = line('lan', 0.01, { ...cpu, peers }) + line('3g', 0.5, cpu);
    const { stdout } = await report(text);
    expect(stdout).toContain(
      "processor time: 50.0% of all-remote's, over the 1 of 2 scenarios in which the planner was no slower",
    );
    expect(stdout).toContain('pcm16 2.000 (of 1)');
    expect(await page(text)).toContain('<path class="saved"');
  });

  it('says so when nothing was predicted', async () => {
    const html = await page(line('lan', 0.01, { predictedMs: null }));
    expect(html).toContain('Nothing was predicted.');
    expect((await report(line('lan', 0.01, { predictedMs: null }))).stdout).toContain('–');
  });

  it('says so when nothing was measured', async () => {
    expect((await report('')).stdout).toContain('no scenario was measured');
    expect(await page('\n')).toContain('No scenario was measured.');
  });

  it.each([
    ['{"scenario":', 'line 2 is not JSON'],
    ['7', 'line 2 is no result of a grid: not an object'],
    ['{}', 'scenario.device is no text'],
    [line('lan', 0, { predictedMs: -1 }), 'predictedMs is no time'],
    [line('lan', 0, { regret: null }), 'regret is no number'],
    [line('lan', 0, { allLocalMs: null, allRemoteMs: null }), 'neither allLocalMs nor allRemoteMs'],
  ])('names a line that it cannot use: %s', async (bad, said) => {
    const { code, stderr } = await report(line('wifi', 0) + bad);
    expect(code).toBe(1);
    expect(stderr).toContain(said);
  });
});
