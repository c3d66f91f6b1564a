import { createHash } from 'node:crypto';
import { constants, createReadStream } from 'node:fs';
import { copyFile, link, mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { HeldFiles } from '../../store/index.ts';
import type { FileBlobStore } from './file-blob-store.ts';

const HOLDING = /^holding-(\d+)$/;

/** Blobs that stay readable, whatever the server that owns their store removes meanwhile. */
export interface HeldBlobs extends HeldFiles {
  /** Those that were not there to be held. */
  readonly missing: readonly string[];
  release(): Promise<void>;
}

/**
 * Gives each blob a second name (a hard link, or a copy where there are none) in a folder of this process beside the store.
 * What a process that was killed left there is removed.
 */
export async function holdBlobs(
  dataFolder: string,
  blobs: Pick<FileBlobStore, 'pathOf'>,
  hashes: readonly string[],
): Promise<HeldBlobs> {
  const folder = join(dataFolder, `holding-${process.pid}`);
  await removeAbandoned(dataFolder);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { mode: 0o700 });
  const missing: string[] = [];
  for (const hash of hashes) {
    if (!(await hold(blobs.pathOf(hash), join(folder, hash)))) missing.push(hash);
  }
  return {
    hashes,
    missing,
    async open(hash) {
      const path = join(folder, hash);
      const found = await stat(path).catch(() => null);
      if (found === null || (await hashOf(path)) !== hash) return null;
      return { bytes: found.size, content: createReadStream(path) };
    },
    release: () => rm(folder, { recursive: true, force: true }),
  };
}

async function hold(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    return copyFile(from, to, constants.COPYFILE_FICLONE).then(
      () => true,
      (failure: NodeJS.ErrnoException) => {
        if (failure.code === 'ENOENT') return false;
        throw failure;
      },
    );
  }
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

async function removeAbandoned(dataFolder: string): Promise<void> {
  for (const name of await readdir(dataFolder)) {
    const pid = HOLDING.exec(name)?.[1];
    if (pid === undefined || isAlive(Number(pid))) continue;
    await rm(join(dataFolder, name), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
