/**
 * Small JSON values under a name, such as measured profiles. *Absent* is `undefined`; a failed read
 * rejects with `storage-failed`. Keys are any strings.
 */
import { IsthmusError, isIsthmusError } from '../errors.ts';

export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

export interface JsonStore {
  /** What was set, as JSON brings it back; the reader checks its shape, for older versions wrote too. */
  get(key: string): Promise<unknown>;
  set(key: string, value: JsonValue): Promise<void>;
  delete(key: string): Promise<void>;
  close(): Promise<void>;
}

export function createMemoryJsonStore(): JsonStore {
  const texts = new Map<string, string>();
  let closed = false;
  function check(): void {
    if (closed) throw new IsthmusError('closed', 'the store is closed');
  }
  return {
    async get(key) {
      check();
      const text = texts.get(key);
      return text === undefined ? undefined : (JSON.parse(text) as unknown);
    },
    async set(key, value) {
      check();
      texts.set(key, JSON.stringify(value));
    },
    async delete(key) {
      check();
      texts.delete(key);
    },
    async close() {
      closed = true;
      texts.clear();
    },
  };
}

/**
 * Keeps in memory what `store` fails to write, and says so through `onWarning`; the value is then good
 * until the page ends. Failed reads and deletes stay failures.
 */
export function withMemoryFallback(store: JsonStore, onWarning?: (error: IsthmusError) => void): JsonStore {
  const memory = createMemoryJsonStore();
  return {
    async get(key) {
      const held = await memory.get(key);
      return held === undefined ? store.get(key) : held;
    },
    async set(key, value) {
      try {
        await store.set(key, value);
      } catch (error) {
        if (!isIsthmusError(error) || error.code !== 'storage-failed') throw error;
        await memory.set(key, value);
        onWarning?.(error);
        return;
      }
      await memory.delete(key);
    },
    async delete(key) {
      await memory.delete(key);
      await store.delete(key);
    },
    async close() {
      await memory.close();
      await store.close();
    },
  };
}
