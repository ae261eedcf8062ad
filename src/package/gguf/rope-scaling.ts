/** How rotary angles are stretched for long contexts; which ways can be built and which cannot. */
import { IsthmusError } from '../../errors.ts';
import { type Metadata, numberOf, stringOf } from './metadata.ts';

/** YaRN and LongRoPE also change with the length or the strength of attention: they are refused. */
const KINDS = ['none', 'linear'];

/** Throws `unsupported-model` and names the kind. */
export function refuseForeignRope(metadata: Metadata, key: (name: string) => string): void {
  const kind = stringOf(metadata, key('rope.scaling.type')) ?? 'none';
  if (!KINDS.includes(kind)) {
    throw new IsthmusError(
      'unsupported-model',
      `the GGUF's rotary scaling is ${kind}; what can be imported is ${KINDS.join(', ')} and Llama 3's factors`,
      { details: { key: key('rope.scaling.type'), kind } },
    );
  }
  const strength = numberOf(metadata, key('rope.scaling.attn_factor')) ?? 1;
  if (strength !== 1) {
    throw new IsthmusError('unsupported-model', `the GGUF scales attention by ${strength}`, {
      details: { key: key('rope.scaling.attn_factor') },
    });
  }
  const sections = metadata.get(key('rope.dimension_sections'));
  if (sections !== undefined) {
    throw new IsthmusError('unsupported-model', 'the GGUF turns axes by several positions (M-RoPE)', {
      details: { key: key('rope.dimension_sections') },
    });
  }
}

/**
 * Positions are divided by it; 1 where nothing is scaled. `rope.scale_linear` is what older files call it,
 * and zero what llama.cpp takes for "not given".
 */
export function ropeScale(metadata: Metadata, key: (name: string) => string): number {
  const kind = stringOf(metadata, key('rope.scaling.type'));
  if (kind === 'none') return 1;
  const factor =
    numberOf(metadata, key('rope.scaling.factor')) ?? numberOf(metadata, key('rope.scale_linear'));
  if (factor === undefined || factor === 0) return 1;
  if (factor > 0) return factor;
  throw new IsthmusError('bad-model', `the GGUF's rotary scaling has the factor ${factor}`);
}
