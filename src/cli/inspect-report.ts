/** What `inspect` says of a package; pure. */
import { PHASES, type Phase } from '../core/span.ts';
import type { DType } from '../core/tensor.ts';
import type { Affine, Block, Cut, Manifest } from '../package/manifest.ts';

export interface SentTensor {
  readonly name: string;
  readonly dtype: DType;
  /** `null` where the extent varies. */
  readonly dims: readonly (number | null)[];
  readonly phase: Phase;
  /** `once`: per row of the stage's output. `init`: per row of context, once a request. `step`: per token. */
  readonly bytes: number;
  readonly lossy: boolean;
}

export interface CutReport {
  readonly cut: number;
  /**
   * In a loop: bytes of each step. In a stage that runs once: bytes per row of its output. What fills
   * read-only state crosses once a request and is not in it. 0 at the last cut.
   */
  readonly bytesPerToken: number;
  readonly sent: readonly SentTensor[];
  /** Values that the far side computes again. */
  readonly recomputed: readonly string[];
}

export interface InspectReport {
  readonly blocks: readonly Block[];
  readonly cuts: readonly CutReport[];
}

export function inspectManifest(manifest: Manifest): InspectReport {
  return {
    blocks: manifest.blocks.map(({ index, stage, weightBytes, nodes, shards }) => {
      return { index, stage, weightBytes, nodes, shards };
    }),
    cuts: manifest.cuts.map((cut) => reportCut(manifest, cut)),
  };
}

function reportCut(manifest: Manifest, { cut, crossings }: Cut): CutReport {
  const sent = PHASES.flatMap((phase) =>
    (crossings[phase]?.sent ?? []).map(({ name, dtype, dims, bytes, lossy }): SentTensor => {
      const perRow =
        phase === 'once' ? bytesPerRow(bytes, rowsAt(manifest, cut)) : bytes.base + bytes.perUnit;
      return { name, dtype, dims, phase, bytes: phase === 'init' ? bytes.perUnit : perRow, lossy };
    }),
  );
  const recomputed = new Set(PHASES.flatMap((phase) => crossings[phase]?.recomputed ?? []));
  return { cut, bytesPerToken: bytesPerToken(manifest, cut, sent), sent, recomputed: [...recomputed] };
}

function bytesPerToken(manifest: Manifest, cut: number, sent: readonly SentTensor[]): number {
  if (cut === manifest.blocks.length) return 0;
  return sent.filter((tensor) => tensor.phase !== 'init').reduce((sum, tensor) => sum + tensor.bytes, 0);
}

/** Rows of the stage that runs once and that holds the cut or ends at it. */
function rowsAt(manifest: Manifest, cut: number): Affine {
  for (const stage of manifest.stages) {
    if (stage.kind === 'once' && stage.from <= cut && cut <= stage.to) return stage.rows;
  }
  return { base: 1, perUnit: 0 };
}

/** Both are functions of the same extent; for long requests their ratio is that of the slopes. */
function bytesPerRow(bytes: Affine, rows: Affine): number {
  if (rows.perUnit > 0) return round(bytes.perUnit / rows.perUnit);
  return round((bytes.base + bytes.perUnit) / Math.max(1, rows.base));
}

/** Slopes are measured: 1152.0000000000002 is 1152. */
function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
