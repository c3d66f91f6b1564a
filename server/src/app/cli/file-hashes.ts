import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import type { FileToTrain } from './folder-walk.ts';

/** A file with what it holds now. */
export interface HashedFile extends FileToTrain {
  /** SHA-256 of its bytes, hex. */
  readonly hash: string;
  readonly bytes: number;
}

/** Files as they were read; those that are gone by then are in neither list. */
export interface HashedFiles {
  readonly files: readonly HashedFile[];
  /** Files that are there and cannot be read. */
  readonly unreadable: readonly FileToTrain[];
}

export interface FileHasher {
  /** Reads the files as streams, some at once; those that have not changed since the last call are not read again. */
  hash(files: readonly FileToTrain[], options: HashOptions): Promise<HashedFiles>;
}

export interface HashOptions {
  readonly signal: AbortSignal;
  readonly onProgress: (done: number) => void;
}

const FILES_AT_ONCE = 8;
/** A stream costs more than reading so much. */
const READ_AT_ONCE_BYTES = 1024 ** 2;

export function createFileHasher(): FileHasher {
  const known = new Map<string, { readonly stamp: string; readonly hash: string }>();

  async function hashFile(file: FileToTrain, signal: AbortSignal): Promise<HashedFile | 'gone' | 'unreadable'> {
    try {
      const stamp = await stampOf(file.path);
      if (stamp === null) return 'gone';
      const before = known.get(file.path);
      const hash = before?.stamp === stamp.text ? before.hash : await sha256Of(file.path, stamp.bytes, signal);
      known.set(file.path, { stamp: stamp.text, hash });
      return { ...file, hash, bytes: stamp.bytes };
    } catch (error) {
      signal.throwIfAborted();
      return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'gone' : 'unreadable';
    }
  }

  return {
    async hash(files, { signal, onProgress }) {
      const results = new Array<Awaited<ReturnType<typeof hashFile>>>(files.length);
      let next = 0;
      let done = 0;
      const work = async (): Promise<void> => {
        for (let index = next++; index < files.length; index = next++) {
          const file = files[index];
          if (file === undefined) continue;
          results[index] = await hashFile(file, signal);
          done += 1;
          onProgress(done);
        }
      };
      await Promise.all(Array.from({ length: Math.min(FILES_AT_ONCE, files.length) }, work));
      return {
        files: results.filter((result) => typeof result === 'object'),
        unreadable: files.filter((_, index) => results[index] === 'unreadable'),
      };
    },
  };
}

/** What changes when somebody writes the file or puts another in its place; null when it is gone. */
export async function stampOf(path: string): Promise<{ readonly text: string; readonly bytes: number } | null> {
  try {
    const { size, mtimeMs, ctimeMs, ino } = await stat(path);
    return { text: `${size} ${mtimeMs} ${ctimeMs} ${ino}`, bytes: size };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

async function sha256Of(path: string, bytes: number, signal: AbortSignal): Promise<string> {
  const digest = createHash('sha256');
  if (bytes <= READ_AT_ONCE_BYTES) digest.update(await readFile(path, { signal }));
  else await pipeline(createReadStream(path), digest, { signal });
  return digest.digest('hex');
}
