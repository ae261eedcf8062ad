/** What the Open Inference Protocol asks about a server and its models. */
import type { GraphInput, Manifest } from '../../package/manifest.ts';
import { PROTOCOL_VERSION } from '../../protocol/messages.ts';
import { datatypeOf } from '../../protocol/oip-data.ts';
import { spanKind } from '../serve-span.ts';

/** Name of the tensor that a generating span answers with. */
export const TOKENS_OUTPUT = 'tokens';

export function serverMetadata(): object {
  return { name: 'isthmus', version: String(PROTOCOL_VERSION), extensions: ['binary_tensor_data'] };
}

/** Inputs and outputs of the whole model, which is what a request without a span runs. */
export function modelMetadata(manifest: Manifest): object {
  const whole = { from: 0, to: manifest.blocks.length };
  const outputs = manifest.stages.at(-1);
  return {
    name: manifest.name,
    versions: [String(manifest.version)],
    platform: 'isthmus',
    inputs: (manifest.cuts[0]?.crossings.once?.sent ?? []).map(tensorMetadata),
    outputs:
      spanKind(manifest, whole) === 'loop' || outputs?.kind !== 'once'
        ? [{ name: TOKENS_OUTPUT, datatype: 'INT64', shape: [1, -1] }]
        : outputs.outputs.map(tensorMetadata),
  };
}

function tensorMetadata({ name, dtype, dims }: GraphInput): object {
  return { name, datatype: datatypeOf(dtype), shape: dims.map((dim) => dim ?? -1) };
}
