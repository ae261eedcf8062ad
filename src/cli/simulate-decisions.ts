/** `isthmus simulate --decisions`: what a decision takes at 64 blocks, and how far forecasts are off. */
import { priorSide } from '../device/prior.ts';
import type { Manifest } from '../package/manifest.ts';
import { choosePlan } from '../planner/choose.ts';
import type { Workload } from '../planner/types.ts';
import { deepened } from '../simulation/deepened.ts';
import { type TraceError, traceErrors } from '../simulation/traces.ts';
import type { Io } from './command.ts';
import { table } from './inspect-table.ts';
import { percent } from './percent.ts';

const BLOCKS = 64;

/** Decisions that are timed, behind as many that warm up the engine. */
const DECISIONS = 200;

/** Traces of each kind and noise. */
const TRACES = 300;

export function simulateDecisions(
  {
    manifest,
    workload,
    seed,
  }: { readonly manifest: Manifest; readonly workload: Workload; readonly seed: number },
  asJson: boolean,
  io: Pick<Io, 'stdout'>,
): void {
  const msPerDecision = decisionMs(deepened(manifest, BLOCKS), workload);
  const forecasts = traceErrors(TRACES, seed);
  io.stdout(
    asJson
      ? `${JSON.stringify({ model: manifest.name, blocks: BLOCKS, msPerDecision, forecasts })}\n`
      : describe(msPerDecision, forecasts),
  );
}

/** Median ms of choosing among all plans of all codecs. */
function decisionMs(manifest: Manifest, workload: Workload): number {
  const device = priorSide(manifest, 'wasm');
  const times: number[] = [];
  for (let run = 0; run < 2 * DECISIONS; run += 1) {
    const began = performance.now();
    choosePlan({
      manifest,
      workload,
      device,
      endpoint: { side: device, queueMs: 1 },
      link: {
        rttMs: 20 + run,
        upBytesPerSecond: 1e6,
        downBytesPerSecond: 1e6,
        rttSpreadMs: 2,
        confidence: 1,
      },
      missingWeightBytes: () => 0,
      choice: 'auto',
      codecs: ['fp32', 'fp16', 'int8'],
      endpointState: 'up',
      weightsReachable: true,
    });
    if (run >= DECISIONS) times.push(performance.now() - began);
  }
  times.sort((a, b) => a - b);
  return times[Math.floor(times.length / 2)] ?? 0;
}

function describe(msPerDecision: number, forecasts: readonly TraceError[]): string {
  const rows = forecasts.map((one) => [
    one.trace,
    percent(one.noise),
    percent(one.forecast),
    percent(one.smoothed),
    percent(one.same),
  ]);
  const header = ['', 'noise', 'forecast', 'smoothed alone', 'same as last time'];
  const head = `${msPerDecision.toFixed(2)} ms a decision at ${BLOCKS} blocks (median)`;
  return `${head}\n\nMean error one observation ahead, against the truth without its noise:\n\n${table(header, rows)}\n`;
}
