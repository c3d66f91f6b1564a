import { createInflateRaw } from 'node:zlib';
import { AppError } from '../../../kernel/index.ts';
import { createCrc32 } from './crc32.ts';
import { megabytes, tooMuch, type UnpackBudget } from './unpack-budget.ts';
import { broken, readDirectory, type ZipEntry } from './zip-directory.ts';

export interface ZipArchive {
  /** Entries in the order of the directory, folders left out. */
  readonly entries: readonly ZipEntry[];
  /** The entry of that exact name, or of one that differs in case only. */
  find(name: string): ZipEntry | undefined;
  /**
   * Unpacks an entry piece by piece, in pieces of at most 64 KiB.
   *
   * @throws AppError `password_protected`, `parse_failed` (damaged, or packed by an unusual method) or
   *   `unpack_limit_exceeded`, the latter before or while unpacking.
   */
  stream(entry: ZipEntry): AsyncGenerator<Uint8Array>;
  /** All of an entry. Errors as of `stream`. */
  read(entry: ZipEntry): Promise<Uint8Array>;
}

const PIECE_BYTES = 65_536;
const STORED = 0;
const DEFLATED = 8;

/**
 * Opens a ZIP archive (PKWARE APPNOTE 6.3.10, ZIP64 included) held in memory. Reads its directory only; sizes are judged
 * by what the directory says before an entry is unpacked, and counted while it is, because directories lie.
 *
 * @throws AppError `parse_failed` when there is no sound directory, `unpack_limit_exceeded` for too many entries and for
 *   entries that share their bytes.
 */
export function openZip(bytes: Uint8Array, budget: UnpackBudget): ZipArchive {
  const archive = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entries = readDirectory(archive, budget);
  const exact = new Map(entries.map((entry) => [entry.name, entry]));
  const folded = new Map(entries.map((entry) => [entry.name.toLowerCase(), entry]));
  async function* stream(entry: ZipEntry): AsyncGenerator<Uint8Array> {
    const packed = packedBytes(archive, entry, budget);
    const most = mostBytes(entry, budget);
    const crc = createCrc32();
    let size = 0;
    for await (const piece of unpack(packed, entry, budget.name)) {
      size += piece.length;
      budget.addBytes(piece.length);
      if (size > most || size > entry.size) throw bomb(entry, budget);
      crc.add(piece);
      yield piece;
    }
    if (size !== entry.size || crc.value() !== entry.crc) {
      throw broken(budget.name, `its part "${entry.name}" is damaged`);
    }
  }
  return {
    entries,
    find: (name) => exact.get(name) ?? folded.get(name.toLowerCase()),
    stream,
    async read(entry) {
      const pieces: Uint8Array[] = [];
      for await (const piece of stream(entry)) pieces.push(piece);
      return Buffer.concat(pieces);
    },
  };
}

function packedBytes(archive: Buffer, entry: ZipEntry, budget: UnpackBudget): Buffer {
  if (entry.encrypted) {
    throw new AppError(
      'password_protected',
      `"${entry.name}" in "${budget.name}" is protected by a password. Save it without one and upload it again.`,
    );
  }
  if (entry.method !== STORED && entry.method !== DEFLATED) {
    throw broken(budget.name, `"${entry.name}" in it is packed by a method that is not supported (${entry.method})`);
  }
  if (entry.size > mostBytes(entry, budget)) throw bomb(entry, budget);
  return archive.subarray(entry.dataStart, entry.dataStart + entry.packedSize);
}

function mostBytes({ packedSize }: ZipEntry, { limits }: UnpackBudget): number {
  return Math.min(limits.maxEntryBytes, Math.max(limits.ratioFloorBytes, packedSize * limits.maxRatio));
}

function bomb(entry: ZipEntry, budget: UnpackBudget): AppError {
  const most = mostBytes(entry, budget);
  const isLie = entry.size <= most;
  return tooMuch(
    budget.name,
    `holds "${entry.name}", which unpacks to more than ${isLie ? 'it says, as only archive bombs do' : megabytes(most)}`,
  );
}

async function* unpack(packed: Buffer, entry: ZipEntry, name: string): AsyncGenerator<Buffer> {
  if (entry.method === STORED) {
    for (let start = 0; start < packed.length; start += PIECE_BYTES) yield packed.subarray(start, start + PIECE_BYTES);
    return;
  }
  const inflate = createInflateRaw({ chunkSize: PIECE_BYTES });
  inflate.end(packed);
  try {
    for await (const piece of inflate) yield piece;
  } catch (cause) {
    if (!isZlibError(cause)) throw cause;
    throw broken(name, `its part "${entry.name}" is damaged`, cause);
  } finally {
    inflate.destroy();
  }
}

function isZlibError(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && String(cause.code).startsWith('Z_');
}
