import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lockDataFolder, readDataFolderLock } from './index.ts';

describe('data folder lock', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'chatsphere-lock-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('lets one owner in, names it to the second, and is free after release', async () => {
    const lock = await lockDataFolder(folder);
    await expect(lockDataFolder(folder)).rejects.toMatchObject({
      code: 'data_folder_locked',
      message: expect.stringContaining(String(process.pid)),
    });
    await lock.release();
    expect(await readdir(folder)).toEqual([]);
    await (await lockDataFolder(folder)).release();
  });

  it('tells where the server is', async () => {
    expect(await readDataFolderLock(folder)).toBeNull();
    const lock = await lockDataFolder(folder);
    await lock.describe({ url: 'http://127.0.0.1:1', key: 'k' });
    expect(await readDataFolderLock(folder)).toMatchObject({ pid: process.pid, url: 'http://127.0.0.1:1', key: 'k' });
    await lock.release();
    expect(await readDataFolderLock(folder)).toBeNull();
  });

  it('takes over from a dead process, for one of many at once', async () => {
    const script = join(folder, 'holder.mjs');
    await writeFile(script, 'process.send("up"); setInterval(() => {}, 1000);');
    const child = fork(script);
    await once(child, 'message');
    await rm(script);
    const path = join(folder, 'server.lock');
    await writeFile(path, JSON.stringify({ pid: child.pid, processStart: '1' }));
    child.kill('SIGKILL');
    await once(child, 'exit');
    const tries = await Promise.allSettled(Array.from({ length: 8 }, () => lockDataFolder(folder)));
    expect(tries.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(await readdir(folder)).toEqual(['server.lock']);
  });

  it.each(['', 'not json', '{"pid":"x"}'])('takes over a lock that says nothing: %j', async (text) => {
    await writeFile(join(folder, 'server.lock'), text);
    await expect(lockDataFolder(folder)).resolves.toBeDefined();
  });

  it.runIf(process.platform === 'linux')('takes over from an earlier process with the same pid', async () => {
    await writeFile(join(folder, 'server.lock'), JSON.stringify({ pid: process.pid, processStart: '1' }));
    await expect(lockDataFolder(folder)).resolves.toBeDefined();
  });

  it('does not remove a lock that is no longer its own', async () => {
    const lock = await lockDataFolder(folder);
    const other = JSON.stringify({ pid: process.ppid, processStart: 'other' });
    await writeFile(join(folder, 'server.lock'), other);
    await lock.release();
    expect(await readdir(folder)).toEqual(['server.lock']);
  });
});
