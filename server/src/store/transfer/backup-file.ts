import { createHash } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { AppError } from '../../kernel/index.ts';

/** Base64 of vectors shrinks to what the bytes took, text to a third; more effort costs much time for little. */
const GZIP_LEVEL = 3;

interface WrittenFile {
  readonly bytes: number;
  /** Of the file as it is on disk. */
  readonly sha256: string;
}

/**
 * Writes the bytes gzipped to `path`, whole or not at all: they go to `path.part`, are synced, and get their name last.
 * Only its owner can read it. Rejects with `storage_full` or `path_not_writable`.
 */
export async function writeGzipped(
  path: string,
  content: AsyncIterable<Buffer>,
  signal: AbortSignal,
): Promise<WrittenFile> {
  const part = `${path}.part`;
  try {
    const written = await writePart(part, content, signal);
    await rename(part, path);
    await syncFolder(dirname(path));
    return written;
  } catch (error) {
    await rm(part, { force: true }).catch(() => {});
    throw signal.aborted ? signal.reason : toWriteError(path, error);
  }
}

async function writePart(part: string, content: AsyncIterable<Buffer>, signal: AbortSignal): Promise<WrittenFile> {
  await rm(part, { force: true });
  const file = await open(part, 'wx', 0o600);
  try {
    let bytes = 0;
    const hash = createHash('sha256');
    const gzip = createGzip({ level: GZIP_LEVEL });
    await pipeline(
      Readable.from(content, { objectMode: false }),
      gzip,
      async (packed: AsyncIterable<Buffer>) => {
        for await (const piece of packed) {
          for (let written = 0; written < piece.length; ) written += (await file.write(piece, written)).bytesWritten;
          bytes += piece.length;
          hash.update(piece);
        }
      },
      { signal },
    );
    await file.sync();
    return { bytes, sha256: hash.digest('hex') };
  } finally {
    await file.close();
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function toWriteError(path: string, cause: unknown): unknown {
  const { code } = cause as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new AppError('storage_full', `The disk of ${path} is full. Make room and run it again.`, { cause });
  }
  if (code !== undefined && ['ENOENT', 'EACCES', 'EROFS', 'ENOTDIR', 'EISDIR', 'EPERM'].includes(code)) {
    return new AppError('path_not_writable', `${path} cannot be written to (${code}). Choose another place.`, {
      cause,
    });
  }
  return cause;
}
