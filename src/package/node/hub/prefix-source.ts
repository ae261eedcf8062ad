/** The beginning of a file on a hub, read as far as it is asked for; a later download goes on from there. */
import { IsthmusError, isIsthmusError } from '../../../errors.ts';
import type { ByteSource } from '../../gguf/byte-source.ts';
import { extend, type FileTask } from './download.ts';
import { openPartial } from './partial-file.ts';

/** A request costs a round trip or three; tokenizers of a header run to some megabytes. */
const STEP_BYTES = 2 ** 20;

/** Headers hold names, shapes and a tokenizer; the largest vocabularies need a tenth of this. */
const MAX_PREFIX_BYTES = 256 * 2 ** 20;

/** @throws IsthmusError as `bringFile`; `limit-exceeded` when what should be a header asks for too much */
export async function withPrefix<T>(task: FileTask, use: (source: ByteSource) => Promise<T>): Promise<T> {
  const { file, cache } = task;
  const partial = await openPartial(cache, file);
  const source: ByteSource = {
    size: file.bytes,
    async read(offset, length) {
      const end = Math.min(file.bytes, offset + length);
      if (end > MAX_PREFIX_BYTES) {
        throw new IsthmusError(
          'limit-exceeded',
          `the header of ${file.path} reaches beyond ${MAX_PREFIX_BYTES} bytes`,
          { details: { path: file.path, bound: MAX_PREFIX_BYTES } },
        );
      }
      if (end > partial.length) {
        await extend(task, partial, Math.min(file.bytes, Math.max(end, partial.length + STEP_BYTES)));
      }
      return partial.read(offset, Math.max(0, end - offset));
    },
  };
  const resumed = partial.length > 0;
  try {
    try {
      return await use(source);
    } catch (error) {
      // What an earlier visit left is not verified yet: damage there must not condemn the model.
      if (!resumed || !isIsthmusError(error) || error.code !== 'bad-model') throw error;
      await partial.restart(undefined);
      return await use(source);
    }
  } finally {
    await partial.close();
  }
}
