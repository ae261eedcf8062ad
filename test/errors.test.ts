import { describe, expect, it } from 'vitest';
import {
  fromWireError,
  IsthmusError,
  isIsthmusError,
  throwIfAborted,
  toIsthmusError,
  toWireError,
} from '../src/errors.ts';

describe('errors', () => {
  it('are the same on the other side of a boundary', () => {
    const error = new IsthmusError('missing-shard', 'gone', { details: { path: 'a.bin' } });
    const back = fromWireError(JSON.parse(JSON.stringify(toWireError(error))));
    expect(back).toMatchObject({ code: 'missing-shard', message: 'gone', details: { path: 'a.bin' } });
    expect(isIsthmusError(back)).toBe(true);
  });

  it.each([undefined, 7, 'text', {}, { code: 'nonsense', message: 5, details: 3 }])(
    'survive %j from there',
    (wire) => {
      expect(fromWireError(wire, 'endpoint-failed').code).toBe('endpoint-failed');
    },
  );

  it('are made of anything that is thrown', () => {
    expect(toIsthmusError(new TypeError('odd'))).toMatchObject({ code: 'internal', message: 'odd' });
    expect(toIsthmusError(new DOMException('stop', 'AbortError')).code).toBe('aborted');
    expect(toIsthmusError({ toString: 0 }, 'run-failed').code).toBe('run-failed');
    expect(toIsthmusError('plain').message).toBe('plain');
  });

  it('are told by their shape, not by their class', () => {
    const foreign = Object.assign(new Error('x'), { name: 'IsthmusError', code: 'closed', details: {} });
    expect(isIsthmusError(foreign)).toBe(true);
    expect(isIsthmusError(Object.assign(new Error('x'), { code: 'closed' }))).toBe(false);
  });

  it('say that work was aborted', () => {
    expect(() => throwIfAborted(AbortSignal.abort())).toThrow(expect.objectContaining({ code: 'aborted' }));
    expect(() => throwIfAborted(undefined)).not.toThrow();
  });
});
