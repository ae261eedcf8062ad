/** Plain tables: words to the left, figures to the right. */

const isFigure = (cell) => /^[-+]?[\d.,]+( ?[%x×]| ms| s)?$/.test(cell) || cell === '–';

/**
 * @param {readonly string[]} header
 * @param {readonly (readonly string[])[]} rows
 */
export function table(header, rows) {
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column].length)),
  );
  const right = header.map((_, column) => rows.every((row) => isFigure(row[column])));
  const line = (cells) =>
    cells
      .map((cell, column) => (right[column] ? cell.padStart(widths[column]) : cell.padEnd(widths[column])))
      .join('  ')
      .trimEnd();
  return [line(header), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}

export const ms = (value) => value.toFixed(1);
export const ratio = (value) => value.toFixed(3);
export const percent = (value) => `${value >= 0 ? '+' : ''}${(100 * value).toFixed(1)} %`;
export const bytes = (value) => value.toLocaleString('en-GB');
