/** Short requests that an endpoint makes of a model by itself, run until their times settle. */
import type { Clock } from '../core/clock.ts';
import { sampleFeeds, unitsFor } from '../core/sample-feeds.ts';
import { GREEDY } from '../core/sampling.ts';
import type { Span } from '../core/span.ts';
import type { Manifest } from '../package/manifest.ts';
import type { SpanExecution } from '../runtime/executor.ts';
import { loopOf } from '../runtime/lane-check.ts';
import type { HostedLane } from './hosted-lane.ts';
import { untilSettled } from './until-settled.ts';

/** As a client rehearses on its device: what shows the pace of each phase. */
const REHEARSAL_ROWS = 48;
const REHEARSAL_STEPS = 4;

/** Where clients' requests go. */
interface Host {
  readonly manifest: Manifest;
  open(span: Span, signal: AbortSignal): Promise<SpanExecution>;
  openLane(): HostedLane;
}

/** Throws what requests throw. */
export async function rehearse(host: Host, clock: Clock): Promise<void> {
  const { manifest } = host;
  const span = { from: 0, to: manifest.blocks.length };
  const [first] = manifest.stages;
  const never = new AbortController().signal;
  if (first?.kind === 'loop') return rehearseText(host, clock, never);
  if (first?.kind !== 'once') return;
  await untilSettled(async () => {
    const execution = await host.open(span, never);
    try {
      const units = unitsFor(first, REHEARSAL_ROWS);
      let output = await execution.start({ once: sampleFeeds(first, units) });
      for (let step = 1; step < REHEARSAL_STEPS && output.kind === 'logits'; step += 1) {
        output = await execution.step([0]);
      }
    } finally {
      await execution.close();
    }
  }, clock);
}

/** A prompt and a few steps behind it, in a lane like any client's. */
async function rehearseText(host: Host, clock: Clock, never: AbortSignal): Promise<void> {
  const { stage, contextLength } = loopOf(host.manifest);
  const rows = Math.min(REHEARSAL_ROWS, contextLength - REHEARSAL_STEPS);
  if (rows < 1) return;
  const want = { kind: 'pick', pick: { sampling: GREEDY, answer: [], drafts: [] } } as const;
  const lane = host.openLane();
  try {
    await untilSettled(async () => {
      const call = (position: number, count: number) => {
        const input = { kind: 'tokens', tokens: Array.from({ length: count }, () => 0) } as const;
        return lane.forward({ span: { from: stage.from, to: stage.to }, position, input, want }, never);
      };
      await call(0, rows);
      for (let step = 0; step < REHEARSAL_STEPS; step += 1) await call(rows + step, 1);
    }, clock);
  } finally {
    await lane.close();
  }
}
