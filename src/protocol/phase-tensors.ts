/** A message's tensors as the flat list that the wire has, and as phases of named tensors. */
import type { Phase, PhaseTensors } from '../core/span.ts';
import { PHASES } from '../core/span.ts';
import type { Tensor } from '../core/tensor.ts';
import { makeTensor } from '../core/tensor.ts';
import { IsthmusError } from '../errors.ts';
import { checkLimit } from './json.ts';
import { MAX_PROBE_BYTES } from './limits.ts';
import type { IncomingTensor, OutgoingTensor } from './oip.ts';

const PADDING = 'padding';

interface PhaseTensor {
  readonly phase: Phase;
  readonly name: string;
  readonly tensor: Tensor;
}

export function listByPhase(tensors: PhaseTensors): readonly PhaseTensor[] {
  return PHASES.flatMap((phase) =>
    Object.entries(tensors[phase] ?? {}).map(([name, tensor]) => ({ phase, name, tensor })),
  );
}

/** Phases without tensors are left out. Throws `bad-tensor` for a phase that is unknown or a name given twice. */
export function groupByPhase(tensors: readonly IncomingTensor[]): PhaseTensors {
  const phases = new Map<Phase, Map<string, Tensor>>();
  for (const { name, tensor, parameters } of tensors) {
    const phase = PHASES.find((known) => known === parameters.phase);
    if (phase === undefined) throw new IsthmusError('bad-tensor', 'the phase of a tensor is unknown');
    const named = phases.get(phase) ?? new Map<string, Tensor>();
    if (named.has(name))
      throw new IsthmusError('bad-tensor', 'a tensor is given twice', { details: { phase } });
    phases.set(phase, named.set(name, tensor));
  }
  return Object.fromEntries([...phases].map(([phase, named]) => [phase, Object.fromEntries(named)]));
}

/** Bytes of a probe as a tensor, none where there are no bytes. */
export function paddingTensor(padding: Uint8Array): readonly OutgoingTensor[] {
  checkLimit('bytes of a probe', padding.byteLength, MAX_PROBE_BYTES);
  if (padding.byteLength === 0) return [];
  return [{ name: PADDING, tensor: makeTensor('uint8', [padding.byteLength], padding) }];
}

export function paddingOf(tensors: readonly IncomingTensor[]): Uint8Array {
  const [first, ...rest] = tensors;
  if (first === undefined) return new Uint8Array(0);
  const { name, tensor } = first;
  if (rest.length > 0 || name !== PADDING || tensor.dtype !== 'uint8' || tensor.dims.length !== 1) {
    throw new IsthmusError('bad-tensor', 'a probe carries something else than its padding');
  }
  checkLimit('bytes of a probe', tensor.bytes.byteLength, MAX_PROBE_BYTES);
  return tensor.bytes;
}
