/** From what a session knows to what the planner takes. */

import { isPcm16 } from '../core/pcm16.ts';
import type { Codec } from '../core/span.ts';
import { asFloat32, type TensorMap } from '../core/tensor.ts';
import type { Manifest } from '../package/manifest.ts';
import { stageAt } from '../package/segments.ts';
import type { ChooseInput, PlanLimit } from '../planner/choose.ts';
import { type Goal, type GoalOptions, goalOf } from '../planner/objective.ts';
import type { EndpointState, Workload } from '../planner/types.ts';
import type { Knowledge } from './knowledge.ts';
import type { Shared } from './parts.ts';
import { runtimeMs } from './runtime-cost.ts';
import type { PlanChoice } from './types.ts';

/**
 * What loses no bit. Half precision can change a token: cuts in the middle of an 8-bit decoder lost a whole
 * sentence to it, so it is for who asks for it.
 */
const DEFAULT_CODECS: readonly Codec[] = ['fp32'];

export function planningInput(
  shared: Shared,
  workload: Workload,
  choice: PlanChoice,
  limits: readonly PlanLimit[] = [],
  goal: Goal = goalFor(shared.options),
): ChooseInput {
  // Who asks for `local` first has the fetch itself find out whether the weights can be had.
  const isUntried = choice === 'local' && limits.length === 0;

  const { parts, options, device, knowledge, link } = shared;
  const state = endpointState(shared);
  const estimate = knowledge.estimateLink();
  const startMs = runtimeMs(device.runtime, device.runner.provider, {
    isCached: device.isReturning,
    downBytesPerSecond: estimate.downBytesPerSecond,
  });
  return {
    manifest: parts.manifest,
    workload,
    device: knowledge.device,
    ...(link === undefined ? {} : { endpoint: knowledge.endpoint }),
    link: estimate,
    missingWeightBytes: (cut) => device.missingBytes(cut),
    loadMs: (cut) => device.loadMs(cut) + startMs,
    choice,
    codecs: options.codecs ?? DEFAULT_CODECS,
    endpointState: state,
    weightsReachable: link === undefined || parts.weightsElsewhere || state !== 'down' || isUntried,
    limits:
      choice === 'auto' && device.runtime === 'failed' && state === 'up' ? [...limits, runsNothing] : limits,
    goal,
  };
}

/** Tried again only when nothing else can answer, or by whoever forces it. */
const runsNothing: PlanLimit = ({ cut }) => (cut > 0 ? 'the runtime does not start here' : undefined);

const GOAL_FIELDS = ['objective', 'mode', 'deadlineMs', 'maxBytesUp', 'maxWeightBytes', 'energy'] as const;

/** What a request asks for, and else what its session does. Throws `bad-option`. */
export function goalFor(session: GoalOptions, request: GoalOptions = {}): Goal {
  return goalOf({ ...goalFields(session), ...goalFields(request) });
}

/** The part of some options that makes a goal. */
export function goalFields(options: GoalOptions): GoalOptions {
  const said = GOAL_FIELDS.filter((name) => options[name] !== undefined);
  return Object.fromEntries(said.map((name) => [name, options[name]]));
}

export function endpointState({ link }: Shared): EndpointState {
  return link?.state ?? 'down';
}

export function hasLoop(manifest: Manifest): boolean {
  return manifest.stages.some((stage) => stage.kind === 'loop');
}

/** What a request asks for; how long its answer will be is expected, not known. */
export function workloadOf(
  manifest: Manifest,
  inputs: TensorMap,
  maxTokens: number,
  knowledge: Knowledge,
): Workload {
  const stage = stageAt(manifest, 0);
  const units = stage.kind === 'once' ? (inputs[stage.extent.input]?.dims[stage.extent.axis] ?? 1) : 1;
  const tokens = hasLoop(manifest) ? knowledge.expectedTokens(maxTokens) : 0;
  return { units, tokens, ...(areSamples(inputs) ? { inputRatio: SAMPLES_RATIO } : {}) };
}

/** What `pcm16` takes of float32. */
const SAMPLES_RATIO = 0.5;

function areSamples(inputs: TensorMap): boolean {
  const all = Object.values(inputs);
  return all.length > 0 && all.every((tensor) => tensor.dtype === 'float32' && isPcm16(asFloat32(tensor)));
}

/** Four seconds of audio where the package is for audio, else a hundred rows. */
export function typicalWorkload(manifest: Manifest, knowledge: Knowledge): Workload {
  const stage = stageAt(manifest, 0);
  const { audio } = manifest;
  const rows = stage.kind === 'once' && stage.rows.perUnit > 0 ? Math.round(100 / stage.rows.perUnit) : 100;
  const units = audio === undefined ? rows : 4 * audio.sampleRate;
  const bound = audio === undefined ? 100 : 4 * audio.maxTokensPerSecond;
  return {
    ...usualWorkload(manifest, units),
    tokens: hasLoop(manifest) ? knowledge.expectedTokens(bound) : 0,
  };
}

/** Of a recording as `transcribe` sends it, or of other inputs. */
export function usualWorkload(manifest: Manifest, units: number): Omit<Workload, 'tokens'> {
  return { units, ...(manifest.audio === undefined ? {} : { inputRatio: SAMPLES_RATIO }) };
}
