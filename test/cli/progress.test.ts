import { describe, expect, it } from 'vitest';
import { createProgress, type ProgressForm, progressForm } from '../../src/cli/progress.ts';

function written(form: ProgressForm, now: () => number = () => 0) {
  let text = '';
  const progress = createProgress(
    form,
    (piece) => {
      text += piece;
    },
    now,
  );
  return { progress, text: () => text };
}

const at = (bytes: number, total = 1000) => ({ file: 'model.gguf', bytes, total });

describe('progress', () => {
  it('is a bar on a terminal and lines elsewhere, unless it is named', () => {
    expect(progressForm(undefined, true)).toBe('bar');
    expect(progressForm(undefined, false)).toBe('lines');
    expect(progressForm('json', true)).toBe('json');
    expect(() => progressForm('dots', true)).toThrow('bar, lines, json, none');
  });

  it('draws one line over and over, and leaves none behind', () => {
    let ms = 0;
    const { progress, text } = written('bar', () => ms);
    progress.step('building: layer 1 of 2');
    progress.download(at(0));
    ms = 50;
    progress.download(at(100));
    ms = 1000;
    progress.download(at(500));
    progress.notice('the connection broke');
    progress.download(at(1000));
    progress.end();
    const shown = text();
    expect(shown).toContain('[############------------]  50% of 1.0 kB, 500 B/s, 1 s left  model.gguf');
    // Too soon after the one before.
    expect(shown).not.toContain('10%');
    expect(shown).toContain('the connection broke\n');
    expect(shown).toContain('100%');
    expect(shown.endsWith('\r\x1b[K')).toBe(true);
    expect(shown.split('\n')).toHaveLength(2);
  });

  it('never draws wider than a terminal', () => {
    const { progress, text } = written('bar');
    progress.step('x'.repeat(500));
    progress.download({ ...at(10), file: 'y'.repeat(500) });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: terminals are steered by them
    for (const line of text().split(/\r\x1b\[K/)) expect(line.length).toBeLessThan(80);
  });

  it('writes a line for a phase and for a tenth of a download', () => {
    const { progress, text } = written('lines');
    for (let layer = 1; layer <= 30; layer += 1) progress.step(`building: layer ${layer} of 30`);
    progress.step('reading a');
    progress.step('reading b');
    for (let bytes = 0; bytes <= 1000; bytes += 1) progress.download(at(bytes));
    progress.end();
    const lines = text().trim().split('\n');
    expect(lines.slice(0, 3)).toEqual(['building: layer 1 of 30', 'reading a', 'reading b']);
    expect(lines).toHaveLength(13);
    expect(lines.at(-1)).toBe('downloaded 1.0 kB of 1.0 kB');
    // No terminal codes in a log.
    expect(text()).not.toContain('\x1b');
  });

  it('writes JSON lines', () => {
    const { progress, text } = written('json');
    progress.step('reading');
    progress.notice('busy');
    for (let bytes = 0; bytes <= 1000; bytes += 5) progress.download(at(bytes));
    const events = text()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(events.slice(0, 2)).toEqual([
      { event: 'step', message: 'reading' },
      { event: 'notice', text: 'busy' },
    ]);
    expect(events.at(-1)).toEqual({ event: 'download', ...at(1000) });
    expect(events).toHaveLength(102);
  });

  it('can be silent', () => {
    const { progress, text } = written('none');
    progress.step('a');
    progress.notice('b');
    progress.download(at(1000));
    progress.end();
    expect(text()).toBe('');
  });
});
