import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { createMemoryStore } from '../../src/storage/memory-store.ts';
import { openFileStore } from '../../src/storage/node/file-store.ts';
import { blobStoreContract } from '../contracts/blob-store.ts';

const root = await mkdtemp(join(tmpdir(), 'isthmus-store-'));
afterAll(() => rm(root, { recursive: true, force: true }));

describe('memory store', () => {
  it.each(blobStoreContract)('$name', (contract) => contract.run({ open: async () => createMemoryStore() }));
});

describe('file store', () => {
  it.each(blobStoreContract)('$name', async (contract) => {
    const dir = await mkdtemp(join(root, 'case-'));
    const open = () => openFileStore(join(dir, 'made/on/demand'));
    await contract.run({ open, reopen: open });
  });

  it('leaves no scratch files behind', async () => {
    const dir = await mkdtemp(join(root, 'scratch-'));
    const store = await openFileStore(dir);
    await Promise.all([1, 2, 3].map((byte) => store.put('same', Uint8Array.of(byte))));
    expect(await readdir(join(dir, 'scratch'))).toEqual([]);
    expect(await readdir(join(dir, 'blobs'))).toEqual(['same']);
  });

  it('calls a failed read a failure, never absent', async () => {
    const dir = await mkdtemp(join(root, 'broken-'));
    const store = await openFileStore(dir);
    // A folder in the place of the file: there, and not readable, whoever runs the test.
    await mkdir(join(dir, 'blobs', 'broken'));
    await expect(store.get('broken')).rejects.toMatchObject({ code: 'storage-failed' });
    await expect(store.put('broken', Uint8Array.of(1))).rejects.toMatchObject({ code: 'storage-failed' });
  });

  it('says so when the folder cannot be made', async () => {
    const file = join(root, 'a-file');
    await writeFile(file, 'in the way');
    await chmod(file, 0o600);
    await expect(openFileStore(join(file, 'store'))).rejects.toMatchObject({ code: 'storage-failed' });
  });
});
