import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { finishSwap, swapBack, swapIn } from './index.ts';

describe('a swap of the data in a folder', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'chatsphere-swap-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  const put = async (path: string, text: string) => {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  };
  const read = (path: string) => readFile(join(folder, path), 'utf8').catch(() => null);
  const options = { staged: 'restoring-1', now: 5, keep: ['secret'] };

  async function putOldAndNew(): Promise<void> {
    await put('chatsphere.db', 'old');
    await put('chatsphere.db-wal', 'old log');
    await put('blobs/aa/x', 'old blob');
    await put('secret', 'old secret');
    await put('server.lock', 'lock');
    await put('restoring-1/chatsphere.db', 'new');
    await put('restoring-1/blobs/bb/y', 'new blob');
  }

  it('puts the new in place of the old, and back', async () => {
    await putOldAndNew();
    expect(await swapIn(folder, options)).toBe('before-restore-5');
    expect(await readdir(folder)).toEqual(['before-restore-5', 'blobs', 'chatsphere.db', 'secret', 'server.lock']);
    expect([await read('chatsphere.db'), await read('blobs/bb/y'), await read('blobs/aa/x')]).toEqual([
      'new',
      'new blob',
      null,
    ]);
    expect(await read('before-restore-5/chatsphere.db-wal')).toBe('old log');
    await put('chatsphere.db-wal', 'new log');
    expect(await swapBack(folder, 9)).toEqual({ broughtBack: 'before-restore-5', movedTo: 'undone-9' });
    expect([await read('chatsphere.db'), await read('chatsphere.db-wal'), await read('secret')]).toEqual([
      'old',
      'old log',
      'old secret',
    ]);
    expect([await read('undone-9/chatsphere.db'), await read('undone-9/chatsphere.db-wal')]).toEqual([
      'new',
      'new log',
    ]);
    await expect(swapBack(folder, 10)).rejects.toMatchObject({ code: 'nothing_to_roll_back' });
  });

  it('takes a new secret in, and keeps nothing of an empty folder', async () => {
    await put('restoring-1/chatsphere.db', 'new');
    await put('restoring-1/secret', 'new secret');
    expect(await swapIn(folder, options)).toBeNull();
    expect((await readdir(folder)).sort()).toEqual(['chatsphere.db', 'secret']);
  });

  it.each([0, 1, 2, 3, 4, 5])('is finished after it was cut off behind move %i', async (done) => {
    await putOldAndNew();
    const moves = [
      { from: 'chatsphere.db', to: 'before-restore-5/chatsphere.db' },
      { from: 'chatsphere.db-wal', to: 'before-restore-5/chatsphere.db-wal' },
      { from: 'blobs', to: 'before-restore-5/blobs' },
      { from: 'restoring-1/chatsphere.db', to: 'chatsphere.db' },
      { from: 'restoring-1/blobs', to: 'blobs' },
    ];
    await mkdir(join(folder, 'before-restore-5'));
    await put('swap.json', JSON.stringify({ moves }));
    for (const { from, to } of moves.slice(0, done)) await rename(join(folder, from), join(folder, to));
    await finishSwap(folder);
    await finishSwap(folder);
    expect([await read('chatsphere.db'), await read('chatsphere.db-wal'), await read('blobs/bb/y')]).toEqual([
      'new',
      null,
      'new blob',
    ]);
    expect(await read('before-restore-5/chatsphere.db')).toBe('old');
    expect(await read('before-restore-5/blobs/aa/x')).toBe('old blob');
    expect(await read('swap.json')).toBeNull();
  });
});
