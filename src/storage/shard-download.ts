/** Brings one shard here: what an earlier visit left, the rest by range, all of it verified. */
import { IsthmusError, isIsthmusError } from '../errors.ts';
import type { PartialKeeper } from './partial-keeper.ts';
import { Sha256, updateInSlices } from './sha256.ts';
import { type BodyOptions, receiveBody } from './shard-body.ts';
import type { ShardId } from './shard-response.ts';
import type { Progress } from './shared-jobs.ts';

export interface ShardDownload extends BodyOptions {
  readonly url: string;
  readonly shard: ShardId;
  readonly keeper: PartialKeeper;
  readonly progress: Progress;
}

/**
 * The shard's bytes, in the one buffer that they were received in; hashed as they came. Bytes that
 * prove wrong are dropped and asked for once more from 0 if some of them were left by an earlier visit,
 * for then the server may be right; bytes that all came fresh are simply wrong.
 *
 * Throws `bad-shard`, `missing-shard`, `endpoint-lost` and `endpoint-failed` (what came is kept),
 * `aborted` (the same), `limit-exceeded` when the device has no memory for it.
 */
export async function downloadShard(task: ShardDownload): Promise<Uint8Array<ArrayBuffer>> {
  const { shard, keeper, progress } = task;
  const bytes = allocate(shard.bytes);
  let hash = new Sha256();
  let at = await keeper.restore(bytes, (piece) => updateInSlices(hash, piece));
  if (at === 0) hash = new Sha256();
  let resumed = at > 0;
  let began = false;
  async function startOver(): Promise<void> {
    await keeper.reset();
    hash = new Sha256();
    at = 0;
    resumed = false;
  }
  const sink = {
    async begin(from: number): Promise<void> {
      began = true;
      if (from !== at) await startOver();
    },
    async write(chunk: Uint8Array): Promise<void> {
      bytes.set(chunk, at);
      hash.update(chunk);
      at += chunk.byteLength;
      progress(at, shard.bytes);
      await keeper.keep(bytes, at);
    },
  };
  for (;;) {
    progress(at, shard.bytes);
    try {
      const request = { url: task.url, shard, from: at };
      const outcome = at === shard.bytes ? 'complete' : await receiveBody(request, sink, task);
      if (outcome === 'complete' && hash.digest() === shard.sha256) return bytes;
    } catch (error) {
      // A body of another length is another file, and its bytes are of no use.
      if (began && isIsthmusError(error) && error.code === 'missing-shard') await keeper.reset();
      else await keeper.keep(bytes, at, true);
      throw error;
    }
    const again = resumed;
    await startOver();
    if (!again) {
      throw new IsthmusError('bad-shard', `the bytes of shard ${shard.sha256} do not match their hash`, {
        details: { sha256: shard.sha256, bytes: shard.bytes },
      });
    }
  }
}

function allocate(length: number): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(length);
  } catch (cause) {
    throw new IsthmusError('limit-exceeded', `this device has no memory for a shard of ${length} bytes`, {
      details: { bytes: length },
      cause,
    });
  }
}
