import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, describe, expect, it } from 'vitest';
import { describeBlobStoreContract } from '../../store/blob-store.contract.ts';
import { createFileBlobStore } from './index.ts';

const folders: string[] = [];
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))));

async function make() {
  const folder = await mkdtemp(join(tmpdir(), 'chatsphere-blobs-'));
  folders.push(folder);
  return createFileBlobStore({ folder: join(folder, 'blobs') });
}

describeBlobStoreContract('files', make);

describe('files', () => {
  const put = (blobs: Awaited<ReturnType<typeof make>>, text: string) =>
    blobs.put(Readable.from([Buffer.from(text)]), { maxBytes: 100 });

  it('notices a damaged file', async () => {
    const blobs = await make();
    const { hash } = await put(blobs, 'intact');
    await writeFile(blobs.pathOf(hash), 'intakt');
    await expect(blobs.read(hash)).rejects.toMatchObject({ code: 'internal_error' });
    await put(blobs, 'intact');
    expect((await blobs.read(hash)).toString()).toBe('intact');
  });

  it('does not sweep an old blob that was put again', async () => {
    const blobs = await make();
    const { hash } = await put(blobs, 'again');
    const longAgo = new Date(Date.now() - 86_400_000);
    await utimes(blobs.pathOf(hash), longAgo, longAgo);
    await put(blobs, 'again');
    expect(await blobs.sweep(new Set(), Date.now() - 3_600_000)).toBe(0);
    expect((await blobs.read(hash)).toString()).toBe('again');
  });
});
