/** What an import made, as text and as JSON. */
import type { Manifest } from '../package/manifest.ts';
import { bytesText } from './inspect-table.ts';

/** What will be missed in use, for a person. */
export function missing(manifest: Manifest): string[] {
  const writesText = manifest.stages.some((stage) => stage.kind === 'loop');
  if (!writesText || manifest.tokenizer !== undefined) return [];
  return ['no tokenizer: tokens cannot be shown as text; --tokenizer adds one'];
}

export interface Summary {
  readonly name: string;
  readonly out: string;
  readonly blocks: number;
  readonly cuts: number;
  readonly bytes: number;
  readonly notes: readonly string[];
}

export function summarise(manifest: Manifest, out: string, notes: readonly string[]): Summary {
  const bytes = Object.values(manifest.files).reduce((sum, file) => sum + file.bytes, 0);
  return {
    name: manifest.name,
    out,
    blocks: manifest.blocks.length,
    cuts: manifest.cuts.length,
    bytes,
    notes,
  };
}

export function summaryText({ name, out, blocks, cuts, bytes, notes }: Summary): string {
  const lines = notes.map((note) => `  note: ${note}\n`).join('');
  const blockWord = blocks === 1 ? 'block' : 'blocks';
  return `${name}: ${blocks} ${blockWord}, ${cuts} cuts, ${bytesText(bytes)} in ${out}\n${lines}`;
}
