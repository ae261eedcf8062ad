import { beforeAll, describe, expect, it } from 'vitest';
import { run } from '../../src/cli/run.ts';
import type { OpenedPackage } from '../../src/package/node/open-package.ts';
import { importSpeech, onDisk } from '../endpoint/packages.ts';

let speech: OpenedPackage;

beforeAll(async () => {
  speech = await onDisk(await importSpeech('speech', []));
});

async function simulate(...args: string[]) {
  let stdout = '';
  let stderr = '';
  const code = await run(['simulate', ...args], {
    stdout: (text) => {
      stdout += text;
    },
    stderr: (text) => {
      stderr += text;
    },
    untilStopped: () => new Promise(() => undefined),
  });
  return { code, stdout, stderr };
}

describe('isthmus simulate', () => {
  it('tells of every agent, the same for the same seed', async () => {
    const args = [speech.dir, '--worlds', '3', '--requests', '6', '--seed', '5', '--json'];
    const first = await simulate(...args);
    expect(first.code).toBe(0);
    const { agents, requests } = JSON.parse(first.stdout);
    expect(requests).toBe(18);
    expect(agents.map(({ agent }: { agent: string }) => agent)).toEqual([
      'isthmus',
      'all local',
      'all remote',
      'static best',
      'offline profile',
      'UCB bandit',
    ]);
    expect((await simulate(...args)).stdout).toBe(first.stdout);
  });

  it('prints a table, and its help', async () => {
    const { stdout } = await simulate(speech.dir, '--worlds', '2', '--requests', '4');
    expect(stdout).toContain('2 worlds of 4 requests');
    expect(stdout).toMatch(/isthmus +\d/);
    expect((await simulate('--help')).stdout).toContain('Regret is');
  });

  it('tells what reports of a fleet are worth, the same for the same seed', async () => {
    const args = [speech.dir, '--fleet', '--devices', '30', '--json'];
    const first = await simulate(...args);
    expect(first.code).toBe(0);
    const { devices, beliefs } = JSON.parse(first.stdout);
    expect(devices).toBe(30);
    expect(beliefs.map(({ belief }: { belief: string }) => belief)).toEqual([
      'built-in guess',
      'fleet, epsilon 0.5',
      'fleet, epsilon 1',
      'fleet, epsilon 2',
      'fleet, epsilon Infinity',
      'true speed',
    ]);
    expect((await simulate(...args)).stdout).toBe(first.stdout);
    expect((await simulate(speech.dir, '--fleet', '--devices', '5')).stdout).toMatch(/true speed +0\.00/);
    expect((await simulate(speech.dir, '--fleet', '--worlds', '5')).code).toBe(2);
    expect((await simulate(speech.dir, '--devices', '5')).code).toBe(2);
  });

  it('draws where a cut wins', async () => {
    const { code, stdout } = await simulate(speech.dir, '--map', '--json');
    expect(code).toBe(0);
    const { cells, summaries, codecs } = JSON.parse(stdout);
    expect(codecs).toEqual(['fp32']);
    const places = summaries.reduce((sum: number, one: { cells: number }) => sum + one.cells, 0);
    expect(cells).toHaveLength(places);
    const drawn = await simulate(speech.dir, '--map', '--endpoint-ms', '20', '--codec', 'int8');
    expect(drawn.stdout).toContain('20 ms on the endpoint, fp32 or fp16 or int8');
    expect(drawn.stdout).toContain('The device holds all weights: a cut is faster than both pure plans in ');
    expect((await simulate(speech.dir, '--map', '--worlds', '5')).code).toBe(2);
    expect((await simulate(speech.dir, '--codec', 'int8')).code).toBe(2);
  });

  it('times a decision and tells how far forecasts are off', async () => {
    const { code, stdout } = await simulate(speech.dir, '--decisions', '--json');
    expect(code).toBe(0);
    const { blocks, msPerDecision, forecasts } = JSON.parse(stdout);
    expect(blocks).toBe(64);
    expect(msPerDecision).toBeGreaterThan(0);
    expect(forecasts).toHaveLength(18);
    expect((await simulate(speech.dir, '--decisions')).stdout).toContain('ms a decision at 64 blocks');
    expect((await simulate(speech.dir, '--decisions', '--worlds', '5')).code).toBe(2);
  });

  it.each([
    [['--map', '--codec', 'mp3']],
    [['--map', '--endpoint-ms', '0']],
    [['--worlds', '0']],
    [['--worlds', '1000000', '--requests', '2']],
    [['--seed', 'x']],
  ])('refuses %j', async (args) => {
    const { code, stderr } = await simulate(speech.dir, ...args);
    expect(code).toBe(1);
    expect(stderr).toContain('bad-option');
  });
});
