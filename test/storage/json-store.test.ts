import { describe, expect, it } from 'vitest';
import { IsthmusError } from '../../src/errors.ts';
import { createMemoryJsonStore, type JsonStore, withMemoryFallback } from '../../src/storage/json-store.ts';

describe('the JSON store in memory', () => {
  it('gives back JSON, and undefined for what is absent', async () => {
    const store = createMemoryJsonStore();
    expect(await store.get('a key/of any: kind')).toBeUndefined();
    const value = { ms: [1, 2.5, null], name: 'ä', nested: { on: true } };
    await store.set('a key/of any: kind', value);
    value.ms.push(3);
    expect(await store.get('a key/of any: kind')).toEqual({ ...value, ms: [1, 2.5, null] });
    await store.set('null', null);
    expect(await store.get('null')).toBeNull();
    await store.delete('null');
    await store.delete('null');
    expect(await store.get('null')).toBeUndefined();
    await store.close();
    await expect(store.get('null')).rejects.toMatchObject({ code: 'closed' });
  });
});

describe('withMemoryFallback', () => {
  function fragile(): { store: JsonStore; broken: Set<string> } {
    const memory = createMemoryJsonStore();
    const broken = new Set<string>();
    const guard = <T>(name: string, work: () => Promise<T>): Promise<T> =>
      broken.has(name) ? Promise.reject(new IsthmusError('storage-failed', `${name} failed`)) : work();
    return {
      broken,
      store: {
        get: (key) => guard('get', () => memory.get(key)),
        set: (key, value) => guard('set', () => memory.set(key, value)),
        delete: (key) => guard('delete', () => memory.delete(key)),
        close: () => memory.close(),
      },
    };
  }

  it('keeps what cannot be written, says so, and lets a later write take over', async () => {
    const { store, broken } = fragile();
    const warnings: IsthmusError[] = [];
    const safe = withMemoryFallback(store, (error) => warnings.push(error));
    await safe.set('a', 1);
    broken.add('set');
    await safe.set('a', 2);
    expect(warnings.map(({ code }) => code)).toEqual(['storage-failed']);
    expect([await safe.get('a'), await store.get('a')]).toEqual([2, 1]);
    await safe.set('a', null);
    expect(await safe.get('a')).toBeNull();
    broken.delete('set');
    await safe.set('a', 3);
    expect([await safe.get('a'), await store.get('a')]).toEqual([3, 3]);
    await safe.delete('a');
    expect(await safe.get('a')).toBeUndefined();
  });

  it('does not call a failed read absent', async () => {
    const { store, broken } = fragile();
    const safe = withMemoryFallback(store);
    broken.add('get');
    await expect(safe.get('a')).rejects.toMatchObject({ code: 'storage-failed' });
  });
});
