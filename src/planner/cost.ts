/**
 * What a plan will take. `D` is device time, `E` endpoint time, each the sum over its blocks; `n`
 * tokens; `Q` the wait for a turn; `R` the round trip; `U`/`V` the time of bytes up and down.
 *
 *     ready = missing bytes / rate down + R (0 when none is missing) + building the span
 *     local         ready + D.once + D.init + n D.step
 *     streaming     ready + D.once + [R + U + Q + E.once + E.init + E.step + V]        first token
 *                   + (n - 1) max(E.step, V)                                           the others
 *     step by step  ready + D.once + D.init + (R + U.init + Q + E.init when state is filled)
 *                   + n [D.step + R + U.step + Q + E.step + V]
 *     no loop       ready + D.once + R + U + Q + E.once + V.output
 *
 * Streaming holds when the cut is at or before the loop's start: the endpoint runs the loop alone
 * and tokens flow down while it works. A cut inside the loop costs a round trip per token; there
 * `init` rides with the first step and so pays no round trip of its own (`U.init`, `E.init` only).
 * A codec adds no time of its own: encoding is far below a millisecond beside what it saves.
 */
import { affineAt, stageExtents } from '../core/extents.ts';
import type { Phase } from '../core/span.ts';
import { DTYPE_BYTES } from '../core/tensor.ts';
import { type PhaseMs, prefixMs, spanMs } from '../device/span-ms.ts';
import { IsthmusError } from '../errors.ts';
import type { Crossing, Manifest, OnceStage } from '../package/manifest.ts';
import { crossingBytes, messageBytes } from './bytes.ts';
import { cutAt } from './enumerate.ts';
import type { EndpointSide, LinkEstimate, PlanShape, Prediction, SideProfile, Workload } from './types.ts';

export interface PlanningInput {
  readonly manifest: Manifest;
  readonly workload: Workload;
  readonly device: SideProfile;
  /** Absent when there is none. */
  readonly endpoint?: EndpointSide;
  readonly link: LinkEstimate;
  /** Bytes of weights still to be fetched before the device can run blocks `0..cut-1`. */
  readonly missingWeightBytes: (cut: number) => number;
  /** Ms to build the sessions of blocks `0..cut-1`; 0 once they are built. Default 0. */
  readonly loadMs?: (cut: number) => number;
}

/** What all plans of one decision share, worked out once. */
export interface CostModel {
  readonly input: PlanningInput;
  readonly device: readonly PhaseMs[];
  readonly endpoint: readonly PhaseMs[] | undefined;
  readonly extents: readonly number[];
  /** First block of the loop, if the model has one. */
  readonly loopStart: number | undefined;
}

/** A token id and its message: what an endpoint sends for each token, and takes to start a loop. */
const TOKEN_MESSAGE_BYTES = messageBytes([8]);

export function costModel(input: PlanningInput): CostModel {
  const { manifest, workload, device, endpoint } = input;
  return {
    input,
    device: prefixMs(device, manifest, workload.units),
    endpoint: endpoint === undefined ? undefined : prefixMs(endpoint.side, manifest, workload.units),
    extents: stageExtents(manifest, workload.units),
    loopStart: manifest.stages.find((stage) => stage.kind === 'loop')?.from,
  };
}

/** Throws `internal` when the plan needs an endpoint and none is priced. */
export function predict(shape: PlanShape, model: CostModel): Prediction {
  const { manifest, link, workload, missingWeightBytes, loadMs } = model.input;
  const last = manifest.blocks.length;
  const tokens = model.loopStart === undefined ? 0 : Math.max(0, workload.tokens);
  const first = Math.min(1, tokens);
  const weightBytes = shape.cut === 0 ? 0 : Math.max(0, missingWeightBytes(shape.cut));
  const fetchMs = weightBytes > 0 ? link.rttMs + msOf(weightBytes, link.downBytesPerSecond) : 0;
  const weightsMs = fetchMs + (shape.cut === 0 ? 0 : (loadMs?.(shape.cut) ?? 0));
  const here = spanMs(model.device, { from: 0, to: shape.cut });
  if (shape.kind === 'local') {
    const before = here.once + here.init;
    return {
      totalMs: weightsMs + before + tokens * here.step,
      ttftMs: weightsMs + before + first * here.step,
      deviceMs: before + tokens * here.step,
      endpointMs: 0,
      linkMs: 0,
      weightsMs,
      bytesUp: 0,
      bytesDown: 0,
      weightBytes,
      roundTrips: 0,
    };
  }
  if (model.endpoint === undefined) {
    throw new IsthmusError('internal', `plan ${shape.id} needs an endpoint and none is known`);
  }
  const there = spanMs(model.endpoint, { from: shape.cut, to: last });
  const perToken = model.loopStart !== undefined && shape.cut > model.loopStart;
  const parts = perToken
    ? stepByStep(shape, model, here, there, tokens)
    : streaming(shape, model, here, there, tokens);
  // Field by field: this runs for every plan of every request, and spreads take several times as long.
  return {
    totalMs: weightsMs + parts.deviceMs + parts.endpointMs + parts.linkMs,
    ttftMs: weightsMs + parts.ttftMs,
    deviceMs: parts.deviceMs,
    endpointMs: parts.endpointMs,
    linkMs: parts.linkMs,
    weightsMs,
    bytesUp: parts.bytesUp,
    bytesDown: parts.bytesDown,
    weightBytes,
    roundTrips: parts.roundTrips,
  };
}

type Parts = Omit<Prediction, 'totalMs' | 'weightsMs' | 'weightBytes'>;

function streaming(shape: PlanShape, model: CostModel, here: PhaseMs, there: PhaseMs, tokens: number): Parts {
  const { link, endpoint } = model.input;
  const queueMs = endpoint?.queueMs ?? 0;
  const { crossings } = cutAt(model.input.manifest, shape.cut);
  // Before the loop the context is all that crosses; a model that starts with its loop has no context.
  const phases: readonly Phase[] = crossings.once === undefined ? ['init', 'step'] : ['once'];
  const bytesUp = upBytes(shape, model, phases);
  const bytesDown = tokens > 0 ? tokens * TOKEN_MESSAGE_BYTES : outputBytes(model);
  const firstDownMs = msOf(tokens > 0 ? TOKEN_MESSAGE_BYTES : bytesDown, link.downBytesPerSecond);
  const laterSteps = Math.max(0, tokens - 1);
  // Tokens flow down while the next are computed: only what the link is slower by is added.
  const stalledMs = laterSteps * Math.max(0, firstDownMs - there.step);
  const deviceMs = here.once + here.init;
  const reachMs = link.rttMs + msOf(bytesUp, link.upBytesPerSecond) + firstDownMs;
  const firstMs = queueMs + there.once + there.init + Math.min(1, tokens) * there.step;
  return {
    ttftMs: deviceMs + reachMs + firstMs,
    deviceMs,
    endpointMs: firstMs + laterSteps * there.step,
    linkMs: reachMs + stalledMs,
    bytesUp,
    bytesDown,
    roundTrips: 1,
  };
}

function stepByStep(
  shape: PlanShape,
  model: CostModel,
  here: PhaseMs,
  there: PhaseMs,
  tokens: number,
): Parts {
  const { link, endpoint } = model.input;
  const queueMs = endpoint?.queueMs ?? 0;
  const initBytes = upBytes(shape, model, ['init']);
  const stepBytes = upBytes(shape, model, ['step']);
  const initUpMs = msOf(initBytes, link.upBytesPerSecond);
  const tripMs =
    link.rttMs + msOf(stepBytes, link.upBytesPerSecond) + msOf(TOKEN_MESSAGE_BYTES, link.downBytesPerSecond);
  const deviceOnce = here.once + here.init;
  const perToken = here.step + tripMs + queueMs + there.step;
  return {
    ttftMs: deviceOnce + initUpMs + there.once + there.init + Math.min(1, tokens) * perToken,
    deviceMs: deviceOnce + tokens * here.step,
    endpointMs: there.once + there.init + tokens * (queueMs + there.step),
    linkMs: initUpMs + tokens * tripMs,
    bytesUp: initBytes + tokens * stepBytes,
    bytesDown: tokens * TOKEN_MESSAGE_BYTES,
    roundTrips: tokens,
  };
}

/** Bytes up for what crosses in `phases`, as one message; that starts a loop where nothing is listed. */
function upBytes(shape: PlanShape, model: CostModel, phases: readonly Phase[]): number {
  const { crossings } = cutAt(model.input.manifest, shape.cut);
  const codec = shape.codec === 'none' ? 'fp32' : shape.codec;
  const present = phases.flatMap((phase) => {
    const crossing: Crossing | undefined = crossings[phase];
    return crossing === undefined ? [] : [{ phase, crossing }];
  });
  if (present.length === 0) return phases.includes('step') ? TOKEN_MESSAGE_BYTES : 0;
  const ratio = shape.cut === 0 ? model.input.workload.inputRatio : undefined;
  const each = present.map(({ phase, crossing }) =>
    crossingBytes(crossing, extentAt(shape.cut, phase, model), codec, ratio),
  );
  // Phases that ride in one message share its envelope.
  return each.reduce((sum, bytes) => sum + bytes, 0) - (each.length - 1) * messageBytes([]);
}

/** The extent at which a crossing's sizes hold: that of the stage before the cut, or after cut 0. */
function extentAt(cut: number, phase: Phase, model: CostModel): number {
  if (phase === 'step') return 1;
  const { stages, blocks } = model.input.manifest;
  if (phase === 'init') return model.extents[stages.findIndex((stage) => stage.kind === 'loop')] ?? 0;
  return model.extents[blocks[Math.max(0, cut - 1)]?.stage ?? 0] ?? 0;
}

/** Bytes of the model's own outputs, for models without a loop: they come back whole. */
function outputBytes(model: CostModel): number {
  const { stages } = model.input.manifest;
  const index = stages.length - 1;
  const stage = stages[index];
  if (stage === undefined || stage.kind !== 'once') return messageBytes([]);
  return messageBytes(
    stage.outputs.map((output) => outputTensorBytes(output, stage, model.extents[index] ?? 0)),
  );
}

function outputTensorBytes(output: OnceStage['outputs'][number], stage: OnceStage, units: number): number {
  const fixed = output.dims.reduce<number>((product, dim) => product * (dim ?? 1), 1);
  // The axes that vary are the batch, of 1, and the rows.
  const rows = output.dims.includes(null) ? affineAt(stage.rows, units) : 1;
  return fixed * rows * DTYPE_BYTES[output.dtype];
}

function msOf(bytes: number, bytesPerSecond: number): number {
  return (1000 * bytes) / bytesPerSecond;
}
