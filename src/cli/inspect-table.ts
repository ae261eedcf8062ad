/** The report of `inspect` as text for a person; pure. */
import type { Manifest } from '../package/manifest.ts';
import type { CutReport, InspectReport } from './inspect-report.ts';

/** Names of exported values run to hundreds of characters; their ends tell them apart. */
const MAX_NAME = 40;

export function inspectTable(manifest: Manifest, report: InspectReport): string {
  const stageName = (index: number): string => manifest.stages[index]?.name ?? '';
  const total = Object.values(manifest.files).reduce((sum, file) => sum + file.bytes, 0);
  const blocks = table(
    ['block', 'stage', 'weights', 'download', 'shards', 'nodes'],
    report.blocks.map((block) => [
      String(block.index),
      stageName(block.stage),
      bytesText(block.weightBytes),
      bytesText(block.shards.reduce((sum, shard) => sum + (manifest.files[shard]?.bytes ?? 0), 0)),
      String(block.shards.length),
      String(block.nodes),
    ]),
  );
  const cuts = table(
    ['cut', 'where', 'bytes/token', 'sent', 'recomputed'],
    report.cuts.map((cut) => [
      String(cut.cut),
      whereText(manifest, cut.cut),
      String(Math.round(cut.bytesPerToken)),
      sentText(cut),
      String(cut.recomputed.length),
    ]),
  );
  const notes = manifest.notes.map((note) => `note: ${note}\n`).join('');
  const heading = `${manifest.name}: ${report.blocks.length} blocks, ${report.cuts.length} cuts, ${bytesText(total)}\n`;
  return `${heading}\n${blocks}\n${cuts}${notes === '' ? '' : `\n${notes}`}`;
}

function whereText(manifest: Manifest, cut: number): string {
  if (cut === manifest.blocks.length) return 'end';
  const stage = manifest.stages.find(({ from, to }) => from <= cut && cut < to);
  return `${cut === stage?.from ? 'before' : 'in'} ${stage?.name ?? ''}`;
}

function sentText(cut: CutReport): string {
  return cut.sent
    .map(({ name, dtype, dims, phase }) => {
      const shown = name.length > MAX_NAME ? `…${name.slice(1 - MAX_NAME)}` : name;
      const shape = `${dtype}[${dims.map((dim) => dim ?? '?').join(',')}]`;
      return `${phase === 'init' ? 'once a request: ' : ''}${shown} ${shape}`;
    })
    .join('; ');
}

export function bytesText(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(1)} kB`;
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/** Columns of numbers to the right, others to the left; the last one is not padded. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const isNumber = head.map(
    (_, column) => rows.length > 0 && rows.every((row) => /^[\d.]/.test(row[column] ?? '')),
  );
  const width = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) =>
        isNumber[column] ? cell.padStart(width[column] ?? 0) : cell.padEnd(width[column] ?? 0),
      )
      .join('  ')
      .trimEnd();
  return `${[head, ...rows].map(line).join('\n')}\n`;
}
