/** What a text's rows and state weigh on the wire; pure. */
import type { Manifest } from '../../package/manifest.ts';
import type { Leg } from './route.ts';

/** Header and envelope of one message, beside its tensors. */
export const MESSAGE_BYTES = 200;

/** A token, in a message that is there anyway. */
export const TOKEN_BYTES = 8;

/** Bytes of one row that crosses at `cut`. */
export function rowBytes(manifest: Manifest, cut: number): number {
  const sent = manifest.cuts[cut]?.crossings.step?.sent ?? [];
  return sent.reduce((sum, tensor) => sum + tensor.bytes.perUnit, 0);
}

/** Bytes of the state of one position in blocks `[from, to)`. */
export function stateRowBytes(manifest: Manifest, from: number, to: number): number {
  const [stage] = manifest.stages;
  if (stage?.kind !== 'loop') return 0;
  return stage.states
    .filter(({ block, growth }) => growth !== 'replace' && block >= from && block < to)
    .reduce((sum, { dims, dtype, axis }) => {
      const elements = dims.reduce<number>((all, dim, at) => all * (at === axis ? 1 : (dim ?? 1)), 1);
      return sum + elements * (dtype === 'float16' ? 2 : 4);
    }, 0);
}

/** Bytes of a row that enters a leg, and of one that leaves it; a last leg tells tokens. */
export function crossing(manifest: Manifest, { span }: Leg): { up: number; down: number; isLast: boolean } {
  const isLast = span.to === manifest.blocks.length;
  return {
    up: span.from === 0 ? TOKEN_BYTES : rowBytes(manifest, span.from),
    down: isLast ? TOKEN_BYTES : rowBytes(manifest, span.to),
    isLast,
  };
}
