/** `isthmus simulate --fleet`: what shared experience is worth to a device that was never here. */
import { type FleetOptions, type FleetSummary, makeFleet, playFleet } from '../simulation/fleet.ts';
import type { Io } from './command.ts';
import { table } from './inspect-table.ts';
import { percent } from './percent.ts';

export const DEFAULT_DEVICES = 1000;

/** From more private than what is sent to no privacy at all. */
const EPSILONS = [0.5, 1, 2, Infinity];

export function simulateFleet(options: FleetOptions, asJson: boolean, io: Pick<Io, 'stdout'>): void {
  const { manifest, devices, seed } = options;
  const beliefs = playFleet(makeFleet(options), EPSILONS, seed);
  io.stdout(
    asJson
      ? `${JSON.stringify({ model: manifest.name, devices, seed, beliefs })}\n`
      : describe(beliefs, devices),
  );
}

function describe(beliefs: readonly FleetSummary[], devices: number): string {
  const rows = beliefs.map((one) => [
    one.belief,
    one.meanError.toFixed(2),
    percent(one.bestPlan),
    percent(one.meanRegret),
    percent(one.p95Regret),
  ]);
  const header = ['', 'error, octaves', 'best plan', 'regret', '95th pct'];
  return `the first requests of ${devices} devices\n\n${table(header, rows)}\n`;
}
