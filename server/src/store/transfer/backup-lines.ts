import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { invalidBackup } from './backup-records.ts';

const NEWLINE = 0x0a;
/** More than JavaScript holds in one text. */
const LONGEST_LINE = 500 * 1024 ** 2;

/** A line of the file, and the checksum of all lines before it. */
export interface BackupLine {
  readonly text: string;
  readonly sha256Before: () => string;
}

/**
 * The lines of a gzipped file, with bounded memory.
 *
 * @throws AppError `backup_invalid` for data that is broken, cut off or does not end with a line's end.
 */
export async function* backupLines(path: string, signal: AbortSignal): AsyncGenerator<BackupLine> {
  const hash = createHash('sha256');
  let held: Buffer[] = [];
  let length = 0;
  for await (const piece of unpacked(path, signal)) {
    let begin = 0;
    for (let end = piece.indexOf(NEWLINE); end >= 0; end = piece.indexOf(NEWLINE, begin)) {
      const line = Buffer.concat([...held, piece.subarray(begin, end)]);
      yield { text: line.toString('utf8'), sha256Before: () => hash.copy().digest('hex') };
      hash.update(line).update('\n');
      held = [];
      length = 0;
      begin = end + 1;
    }
    held.push(piece.subarray(begin));
    length += piece.length - begin;
    if (length > LONGEST_LINE) throw invalidBackup('a line of it is too long');
  }
  if (length > 0) throw invalidBackup('it is cut off in the middle of a line');
}

async function* unpacked(path: string, signal: AbortSignal): AsyncGenerator<Buffer> {
  const gunzip = createGunzip();
  const file = createReadStream(path, { signal });
  file.on('error', (error) => gunzip.destroy(error));
  file.pipe(gunzip);
  let hasUnpacked = false;
  try {
    for await (const piece of gunzip) {
      hasUnpacked = true;
      yield piece as Buffer;
    }
  } catch (cause) {
    if (signal.aborted) throw signal.reason;
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'Z_DATA_ERROR' && !hasUnpacked && /header/.test(String(cause))) {
      throw invalidBackup('it is no backup: it is not compressed as one', cause);
    }
    if (code?.startsWith('Z_')) throw invalidBackup('its compressed data is broken or cut off', cause);
    throw cause;
  } finally {
    file.destroy();
    gunzip.destroy();
  }
}
