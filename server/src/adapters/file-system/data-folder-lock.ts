import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { constants, copyFile, link, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { AppError } from '../../kernel/index.ts';

const FILE = 'server.lock';

const holderSchema = z.object({
  pid: z.number().int(),
  /** When the process started, in clock ticks since boot: tells a process from a later one with the same pid. */
  processStart: z.string(),
  url: z.string().optional(),
  key: z.string().optional(),
});

/** The process that holds a data folder, and how to reach it. */
export type DataFolderHolder = z.infer<typeof holderSchema>;

export interface DataFolderLock {
  /** Tells other programs of this user where the server listens and a key that it takes until it stops. */
  describe(server: { readonly url: string; readonly key: string }): Promise<void>;
  release(): Promise<void>;
}

/**
 * Takes the folder for this process. A lock whose process is dead is taken over. Rejects with `data_folder_locked`,
 * naming the process, when another one holds it, with `installation_not_found` when there is no such folder, and with
 * `configuration_invalid` when it cannot be written to.
 */
export async function lockDataFolder(folder: string): Promise<DataFolderLock> {
  const path = join(folder, FILE);
  const own: DataFolderHolder = { pid: process.pid, processStart: processStartOf(process.pid) ?? '' };
  if (!(await createExclusively(path, own))) {
    const holder = await readDataFolderLock(folder);
    if (holder !== null) throw locked(folder, holder);
    await removeStale(path);
    if (!(await createExclusively(path, own))) throw locked(folder, await readDataFolderLock(folder));
  }
  return {
    async describe(server) {
      const temporary = `${path}.${process.pid}`;
      await writeFile(temporary, JSON.stringify({ ...own, ...server }), { mode: 0o600 });
      await rename(temporary, path);
    },
    async release() {
      const holder = await readDataFolderLock(folder);
      if (holder?.pid === own.pid && holder.processStart === own.processStart) await rm(path, { force: true });
    },
  };
}

/** The living process that holds the folder, or null. */
export async function readDataFolderLock(folder: string): Promise<DataFolderHolder | null> {
  const text = await readFile(join(folder, FILE), 'utf8').catch(() => null);
  if (text === null) return null;
  const holder = holderSchema.safeParse(parseJson(text));
  return holder.success && isAlive(holder.data) ? holder.data : null;
}

/** The file appears with its whole content or not at all: false when there is one already. */
async function createExclusively(path: string, holder: DataFolderHolder): Promise<boolean> {
  const written = `${path}.${randomUUID()}`;
  try {
    await writeFile(written, JSON.stringify(holder), { mode: 0o600, flag: 'wx' });
  } catch (error) {
    throw await unusable(dirname(path), error);
  }
  try {
    await link(written, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    // Some file systems have no hard links.
    return await copyExclusively(written, path);
  } finally {
    await rm(written, { force: true });
  }
}

async function copyExclusively(from: string, to: string): Promise<boolean> {
  try {
    await copyFile(from, to, constants.COPYFILE_EXCL);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/**
 * Moves the lock of a dead process away. When another process took the folder over in the meantime, it was that
 * process's lock that moved: it is put back, and ours is refused.
 */
async function removeStale(path: string): Promise<void> {
  const moved = `${path}.${randomUUID()}`;
  await rename(path, moved).catch(ignoreMissing);
  const text = await readFile(moved, 'utf8').catch(() => null);
  const holder = text === null ? null : holderSchema.safeParse(parseJson(text));
  if (holder?.success && isAlive(holder.data)) await link(moved, path).catch(() => {});
  await rm(moved, { force: true });
}

function ignoreMissing(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
}

function isAlive({ pid, processStart }: DataFolderHolder): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  const start = processStartOf(pid);
  return start === null || start === processStart;
}

/** Field 22 of /proc/PID/stat (proc(5)), empty for a process that has ended; null where there is no such file system. */
function processStartOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? '' : (fields[19] ?? null);
  } catch {
    return null;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function locked(folder: string, holder: DataFolderHolder | null): AppError {
  const who = holder === null ? 'another process' : `process ${holder.pid}`;
  return new AppError(
    'data_folder_locked',
    `The data folder ${folder} is in use by ${who}. Stop it, or choose another folder with CHATSPHERE_DATA_DIR. Several processes on one installation need DATABASE_URL.`,
  );
}

/** Why nothing can be written into the folder, as far as the user can do something about it; else the error itself. */
async function unusable(folder: string, error: unknown): Promise<unknown> {
  const { code = '' } = error as NodeJS.ErrnoException;
  if (!['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM', 'EROFS'].includes(code)) return error;
  const isThere = await stat(folder).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (isThere) {
    const message = `The data folder ${folder} cannot be written to (${code}). Change its owner, or name another with --data-dir or CHATSPHERE_DATA_DIR.`;
    return new AppError('configuration_invalid', message, { cause: error });
  }
  const message = `There is no data folder ${folder}. Name the data folder with --data-dir or CHATSPHERE_DATA_DIR, or the database with DATABASE_URL.`;
  return new AppError('installation_not_found', message, { cause: error });
}
