/** Stop texts over pieces: what is shown does not depend on how the text was split. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_STOP_LENGTH, MAX_STOPS, StopMatcher } from '../../../src/session/text/stop.ts';

interface Shown {
  readonly text: string;
  readonly stop?: string;
}

function shown(pieces: readonly string[], stops: readonly string[]): Shown {
  const matcher = new StopMatcher(stops);
  let text = '';
  for (const piece of pieces) {
    const step = matcher.push(piece);
    text += step.text;
    if (step.stop !== undefined) return { text, stop: step.stop };
  }
  return { text: text + matcher.end() };
}

/** The definition: the stop that is complete first, the longest of those complete at that character. */
function plain(text: string, stops: readonly string[]): Shown {
  for (let end = 1; end <= text.length; end += 1) {
    const complete = stops.filter((stop) => text.slice(0, end).endsWith(stop));
    const [longest] = complete.sort((a, b) => b.length - a.length);
    if (longest !== undefined) return { text: text.slice(0, end - longest.length), stop: longest };
  }
  return { text };
}

const short = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 5 });

describe('StopMatcher', () => {
  it('finds what the definition finds, in pieces of any size', () => {
    const stops = fc.array(
      short.filter((stop) => stop !== ''),
      { maxLength: 4 },
    );
    fc.assert(
      fc.property(fc.array(short, { maxLength: 12 }), stops, (pieces, list) => {
        expect(shown(pieces, list)).toEqual(plain(pieces.join(''), list));
      }),
      { numRuns: 3_000 },
    );
  });

  it('shows at once what no stop begins with, and holds back no more than it must', () => {
    const matcher = new StopMatcher(['\nUser:', '###']);
    expect(matcher.push('Yes. ')).toEqual({ text: 'Yes. ' });
    expect(matcher.push('Well\nUs')).toEqual({ text: 'Well' });
    expect(matcher.push('ed #')).toEqual({ text: '\nUsed ' });
    expect(matcher.push('##!')).toEqual({ text: '', stop: '###' });
  });

  it('gives the rest at the end', () => {
    const matcher = new StopMatcher(['<end>']);
    expect(matcher.push('a <en')).toEqual({ text: 'a ' });
    expect(matcher.end()).toBe('<en');
    expect(matcher.end()).toBe('');
  });

  it('keeps whole characters whole', () => {
    const matcher = new StopMatcher(['😀!']);
    expect(matcher.push('x😁')).toEqual({ text: 'x😁' });
    expect(matcher.push('😀')).toEqual({ text: '' });
    expect(matcher.push('?')).toEqual({ text: '😀?' });
  });

  it('refuses stops that are empty, too long or too many', () => {
    const lists = [[''], ['x'.repeat(MAX_STOP_LENGTH + 1)], new Array<string>(MAX_STOPS + 1).fill('x')];
    for (const list of lists) {
      expect(() => new StopMatcher(list)).toThrow(
        expect.objectContaining({ code: 'bad-option', details: { option: 'stop' } }),
      );
    }
    expect(() => new StopMatcher(['x'.repeat(MAX_STOP_LENGTH)])).not.toThrow();
  });
});
