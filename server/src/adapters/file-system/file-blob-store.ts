import { createHash, randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { addAbortSignal, type Readable } from 'node:stream';
import { AppError } from '../../kernel/index.ts';
import type { BlobReference, BlobStore } from '../../store/index.ts';

const HASH = /^[0-9a-f]{64}$/;
const INCOMING = 'incoming';

export interface FileBlobStore extends BlobStore {
  pathOf(hash: string): string;
}

/**
 * Blobs as files named by their SHA-256 below `folder`, in 256 folders by its first byte. A blob is written beside,
 * synced, and then moved into place, so that a name never stands for half of its bytes.
 */
export function createFileBlobStore({ folder }: { readonly folder: string }): FileBlobStore {
  const pathOf = (hash: string): string => {
    if (!HASH.test(hash)) throw new AppError('internal_error', 'That is no blob hash.');
    return join(folder, hash.slice(0, 2), hash);
  };
  const oneAtATime = createSequences();
  let prepared: Promise<void> | null = null;

  function prepare(): Promise<void> {
    prepared ??= makeFolders(folder).catch((error: unknown) => {
      prepared = null;
      throw error;
    });
    return prepared;
  }

  return {
    pathOf,
    localPath: async (hash) => pathOf(hash),
    async put(content, { maxBytes, signal }) {
      const temporary = join(folder, INCOMING, randomUUID());
      try {
        await prepare();
        const reference = await writeSynced(temporary, content, { maxBytes, signal });
        await oneAtATime(reference.hash, () => moveIntoPlace(temporary, pathOf(reference.hash)));
        return reference;
      } catch (error) {
        content.destroy();
        await rm(temporary, { force: true });
        throw signal?.aborted ? signal.reason : toStorageError(error);
      }
    },
    async read(hash, signal) {
      const content = await readStored(pathOf(hash), signal);
      if (createHash('sha256').update(content).digest('hex') === hash) return content;
      throw new AppError('internal_error', 'A stored file is damaged. Restore the data folder from a backup.');
    },
    async sweep(inUse, olderThan) {
      let removed = 0;
      for (const directory of await readdir(folder).catch(() => [])) {
        for (const name of await readdir(join(folder, directory)).catch(() => [])) {
          if (inUse.has(name)) continue;
          const path = join(folder, directory, name);
          if (await oneAtATime(name, () => removeOlder(path, olderThan))) removed += 1;
        }
      }
      return removed;
    },
  };
}

async function readStored(path: string, signal: AbortSignal | undefined): Promise<Buffer> {
  try {
    return await readFile(path, signal === undefined ? {} : { signal });
  } catch (cause) {
    if (signal?.aborted) throw signal.reason;
    throw new AppError('internal_error', 'A stored file is missing. Restore the data folder from a backup.', { cause });
  }
}

async function removeOlder(path: string, olderThan: number): Promise<boolean> {
  const found = await stat(path).catch(() => null);
  if (found === null || found.mtimeMs >= olderThan) return false;
  await rm(path, { force: true });
  return true;
}

/**
 * Runs the steps on one name one after the other: a sweep must not remove an old blob between the moment that it was
 * found old and the moment that the same bytes were put again.
 */
function createSequences(): <Result>(name: string, step: () => Promise<Result>) => Promise<Result> {
  const lasts = new Map<string, Promise<unknown>>();
  return (name, step) => {
    const result = (lasts.get(name) ?? Promise.resolve()).then(step);
    const settled = result
      .catch(() => {})
      .then(() => {
        if (lasts.get(name) === settled) lasts.delete(name);
      });
    lasts.set(name, settled);
    return result;
  };
}

/** All folders at once, synced, so that putting a blob has to sync no more than the folder it lands in. */
async function makeFolders(folder: string): Promise<void> {
  await mkdir(join(folder, INCOMING), { recursive: true });
  for (let first = 0; first < 256; first += 1) {
    await mkdir(join(folder, first.toString(16).padStart(2, '0')), { recursive: true });
  }
  await syncDirectory(folder);
  await syncDirectory(dirname(folder));
}

interface WriteLimits {
  readonly maxBytes: number;
  readonly signal: AbortSignal | undefined;
}

async function writeSynced(path: string, content: Readable, { maxBytes, signal }: WriteLimits): Promise<BlobReference> {
  const file = await open(path, 'wx', 0o600);
  try {
    const hash = createHash('sha256');
    let bytes = 0;
    for await (const part of signal === undefined ? content : addAbortSignal(signal, content)) {
      const data: Buffer = Buffer.isBuffer(part) ? part : Buffer.from(part);
      bytes += data.length;
      if (bytes > maxBytes) {
        throw new AppError(
          'payload_too_large',
          `The content is larger than ${maxBytes} bytes. Split it, or raise MAX_UPLOAD_BYTES.`,
        );
      }
      hash.update(data);
      await writeAll(file, data);
    }
    await file.sync();
    return { hash: hash.digest('hex'), bytes };
  } finally {
    await file.close();
  }
}

async function writeAll(file: FileHandle, data: Buffer): Promise<void> {
  for (let written = 0; written < data.length; ) {
    written += (await file.write(data, written)).bytesWritten;
  }
}

/**
 * Bytes that are there already are replaced by the same bytes, which renews their time: a sweep does not take them from
 * their new user.
 */
async function moveIntoPlace(temporary: string, path: string): Promise<void> {
  await rename(temporary, path);
  await syncDirectory(dirname(path));
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function toStorageError(error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  if (code !== 'ENOSPC' && code !== 'EDQUOT') return error;
  return new AppError('storage_full', 'The disk of the data folder is full. Make room and send it again.', {
    cause: error,
    retryable: true,
  });
}
