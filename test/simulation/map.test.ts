import { describe, expect, it } from 'vitest';
import { drawMap, RATES, ROOMS, ROUND_TRIPS, SLOWDOWNS, summariseMap } from '../../src/simulation/map.ts';
import { speechManifest } from '../fixtures/manifest.ts';

const OPTIONS = {
  manifest: speechManifest(),
  workload: { units: 42_000, tokens: 8 },
  endpointMs: 100,
  codecs: ['fp32'] as const,
};

describe('the map of plans', () => {
  const cells = drawMap(OPTIONS);

  it('has every place once', () => {
    expect(cells).toHaveLength(SLOWDOWNS.length * ROUND_TRIPS.length * RATES.length * ROOMS.length);
    const places = cells.map(
      ({ slowdown, rttMs, megabits, room }) => `${slowdown} ${rttMs} ${megabits} ${room}`,
    );
    expect(new Set(places).size).toBe(cells.length);
  });

  it('states a gain against the better pure plan', () => {
    for (const { local, remote, split, gain } of cells) {
      const pureMs = Math.min(local?.ms ?? Infinity, remote.ms);
      expect(gain).toBe(split === undefined ? -Infinity : 1 - split.ms / pureMs);
    }
  });

  it('never runs all here where the weights have no room', () => {
    for (const { room, local } of cells) expect(local === undefined).toBe(room < 1);
  });

  it('grows no better all there with a longer round trip or a lower rate', () => {
    const msAt = (rttMs: number, megabits: number): number =>
      cells.find((cell) => cell.rttMs === rttMs && cell.megabits === megabits)?.remote.ms ?? Number.NaN;
    for (const [index, rttMs] of ROUND_TRIPS.entries()) {
      const next = ROUND_TRIPS[index + 1];
      for (const rate of next === undefined ? [] : RATES) {
        expect(msAt(next ?? 0, rate)).toBeGreaterThan(msAt(rttMs, rate));
      }
    }
  });

  it('counts the places that a cut wins, and finds the largest gain', () => {
    for (const summary of summariseMap(cells)) {
      const own = cells.filter(({ room }) => room === summary.room);
      expect(summary.cells).toBe(own.length);
      expect(summary.wins).toBe(own.filter(({ gain }) => gain > 0).length);
      expect(summary.clearWins).toBeLessThanOrEqual(summary.wins);
      expect(summary.best?.gain).toBe(Math.max(...own.map(({ gain }) => gain)));
    }
  });

  it('saves more where less crosses', () => {
    const best = (codec: 'fp32' | 'int8'): number =>
      Math.max(...drawMap({ ...OPTIONS, codecs: [codec] }).map(({ gain }) => gain));
    expect(best('int8')).toBeGreaterThanOrEqual(best('fp32'));
  });
});
