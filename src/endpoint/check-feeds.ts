/** Holds what a client sends against what the package says must cross, before the runtime sees it. */
import { PHASES, type Phase, type PhaseTensors, type Span } from '../core/span.ts';
import { type Tensor, type TensorMap, totalBytes } from '../core/tensor.ts';
import { IsthmusError } from '../errors.ts';
import type { CrossingTensor, LoopStage, Manifest } from '../package/manifest.ts';
import { stateRows } from '../runtime/lane-rows.ts';

/** Feeds of `start` at the span's near cut. Throws `bad-tensor` or `input-too-long`. */
export function checkFeeds(manifest: Manifest, span: Span, feeds: PhaseTensors, maxBytes: number): void {
  let bytes = 0;
  for (const phase of PHASES) {
    bytes += totalBytes(feeds[phase] ?? {});
    checkPhase(manifest, span.from, phase, feeds[phase] ?? {});
  }
  checkBytes(bytes, maxBytes);
}

/** Feeds of one later step. Throws `bad-tensor` or `input-too-long`. */
export function checkStep(
  manifest: Manifest,
  span: Span,
  tensors: PhaseTensors,
  maxBytes: number,
): TensorMap {
  const step = onlyStep(tensors);
  const stage = manifest.stages.find((candidate) => span.from <= candidate.from && candidate.kind === 'loop');
  const holdsStart = stage !== undefined && stage.from < span.to;
  // A span that holds the loop's start but not its end takes the ids of its tokens.
  if (holdsStart && stage.kind === 'loop') checkTensors([stage.tokenInput], step, 'step');
  else checkPhase(manifest, span.from, 'step', step);
  checkBytes(totalBytes(step), maxBytes);
  return step;
}

/**
 * Tensors of rows that a lane runs from position `position` on, for a span inside the loop: besides what
 * the package says, extents that vary may only be those that rows and positions account for.
 * Throws `bad-tensor`.
 */
export function checkRows(
  manifest: Manifest,
  cut: number,
  tensors: PhaseTensors,
  place: { readonly position: number; readonly rows: number },
): TensorMap {
  const step = onlyStep(tensors);
  const expected = manifest.cuts[cut]?.crossings.step?.sent ?? [];
  checkTensors(expected, step, 'step');
  const { position, rows } = place;
  const free = expected.map(({ name, dims }) => {
    const extents = step[name]?.dims.filter((_, axis) => dims[axis] === null || dims[axis] === 1) ?? [];
    return { name, extents };
  });
  // What is the same for all rows has none; something must have them.
  const lacking = free.some(({ extents }) => extents.includes(rows)) ? undefined : free[0];
  const wrong =
    free.find(({ extents }) => !extents.every((extent) => [1, rows, position + rows].includes(extent))) ??
    lacking;
  if (wrong !== undefined) {
    throw new IsthmusError('bad-tensor', `the tensor '${wrong.name}' is not one of ${rows} rows`, {
      details: { name: wrong.name, rows, dims: step[wrong.name]?.dims },
    });
  }
  return step;
}

/** Copies of state for the blocks of a span. Throws `bad-tensor`, `unsupported-model`; returns its rows. */
export function checkState(stage: LoopStage, span: Span, tensors: PhaseTensors): number {
  const step = onlyStep(tensors);
  const rows = stateRows(stage.states, span, step);
  const expected = stage.states.filter(({ block }) => block >= span.from && block < span.to);
  if (Object.keys(step).length > expected.length) {
    throw new IsthmusError('bad-tensor', 'there are tensors that are no state of these blocks');
  }
  if (rows === 0 && expected.length > 0) throw new IsthmusError('bad-tensor', 'the state has no rows');
  return rows;
}

function onlyStep({ step = {}, ...others }: PhaseTensors): TensorMap {
  if (Object.keys(others).length === 0) return step;
  throw new IsthmusError('bad-tensor', 'a step carries tensors of another phase');
}

/** The phase in which a tensor of that name crosses at a cut, for clients that do not say it. */
export function phaseOfName(manifest: Manifest, cut: number, name: string): Phase {
  const crossings = manifest.cuts[cut]?.crossings ?? {};
  return PHASES.find((phase) => crossings[phase]?.sent.some((tensor) => tensor.name === name)) ?? 'once';
}

/** Whether a lossy codec may touch a tensor that crosses at a cut; what leaves the model is exact. */
export function isLossy(manifest: Manifest, cut: number, phase: Phase, name: string): boolean {
  const sent = manifest.cuts[cut]?.crossings[phase]?.sent ?? [];
  return sent.some((tensor) => tensor.name === name && tensor.lossy);
}

function checkPhase(manifest: Manifest, cut: number, phase: Phase, given: TensorMap): void {
  checkTensors(manifest.cuts[cut]?.crossings[phase]?.sent ?? [], given, phase);
}

type Expected = Pick<CrossingTensor, 'name' | 'dtype' | 'dims'>;

function checkTensors(expected: readonly Expected[], given: TensorMap, phase: Phase): void {
  for (const { name, dtype, dims } of expected) {
    const tensor = Object.hasOwn(given, name) ? given[name] : undefined;
    if (tensor === undefined) {
      throw new IsthmusError('bad-tensor', `the tensor '${name}' is missing`, { details: { name, phase } });
    }
    if (tensor.dtype !== dtype || !fits(tensor, dims)) {
      const want = `${dtype}[${dims.map((dim) => dim ?? '?').join(', ')}]`;
      const got = `${tensor.dtype}[${tensor.dims.join(', ')}]`;
      throw new IsthmusError('bad-tensor', `the tensor '${name}' is ${got}, not ${want}`, {
        details: { name, phase },
      });
    }
  }
  if (Object.keys(given).length > expected.length) {
    throw new IsthmusError('bad-tensor', 'there are tensors that do not cross at this cut', {
      details: { phase, expected: expected.map((tensor) => tensor.name) },
    });
  }
}

/** An extent of one was measured on one token, and may be more when several are sent at once. */
function fits(tensor: Tensor, dims: readonly (number | null)[]): boolean {
  if (tensor.dims.length !== dims.length || tensor.dims.includes(0)) return false;
  return dims.every((dim, axis) => dim === null || dim === 1 || dim === tensor.dims[axis]);
}

function checkBytes(bytes: number, limit: number): void {
  if (bytes <= limit) return;
  throw new IsthmusError('input-too-long', `${bytes} bytes of input exceed the bound of ${limit}`, {
    details: { what: 'bytes of input', got: bytes, limit },
  });
}
