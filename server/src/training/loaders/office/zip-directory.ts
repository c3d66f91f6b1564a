import { AppError } from '../../../kernel/index.ts';
import { tooMuch, type UnpackBudget } from './unpack-budget.ts';

/** A file in an archive, as the directory tells of it. */
export interface ZipEntry {
  /** Path inside the archive with `/`; without parts that would lead out of it. */
  readonly name: string;
  readonly method: number;
  readonly encrypted: boolean;
  readonly crc: number;
  /** What the directory claims. */
  readonly packedSize: number;
  /** What the directory claims. */
  readonly size: number;
  /** Offset of the packed bytes in the archive. */
  readonly dataStart: number;
}

const END = 0x06_05_4b_50;
const END_BYTES = 22;
const LONGEST_COMMENT = 65_535;
const END_64 = 0x06_06_4b_50;
const LOCATOR_64 = 0x07_06_4b_50;
const LOCATOR_64_BYTES = 20;
const HEADER = 0x02_01_4b_50;
const HEADER_BYTES = 46;
const LOCAL_HEADER = 0x04_03_4b_50;
const LOCAL_HEADER_BYTES = 30;
const EXTRA_64 = 1;
/** The value of a 32-bit field whose real one is in the ZIP64 extra field. */
const IN_EXTRA = 0xff_ff_ff_ff;
const CODE_PAGE_437 =
  'ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00A0';

/**
 * Reads the central directory and checks every entry against the bytes that are there. Folders are left out.
 *
 * @throws AppError `parse_failed`, `unpack_limit_exceeded`.
 */
export function readDirectory(archive: Buffer, budget: UnpackBudget): readonly ZipEntry[] {
  const { start, end, count, shift } = findDirectory(archive, budget.name);
  budget.addEntries(count);
  const entries: ZipEntry[] = [];
  let offset = start;
  for (let position = 0; position < count; position += 1) {
    if (offset + HEADER_BYTES > end || archive.readUInt32LE(offset) !== HEADER) {
      throw broken(budget.name, 'its list of files is damaged');
    }
    const header = readHeader(archive, offset, budget.name);
    offset = header.next;
    if (offset > end) throw broken(budget.name, 'its list of files is damaged');
    if (!header.isFolder)
      entries.push(locate(archive, { ...header, localStart: header.localStart + shift }, budget.name));
  }
  checkOverlaps(entries, budget.name);
  return entries;
}

interface Directory {
  readonly start: number;
  readonly end: number;
  readonly count: number;
  /** Bytes before the archive itself (a program that unpacks it), which offsets do not count. */
  readonly shift: number;
}

function findDirectory(archive: Buffer, name: string): Directory {
  const found = findEnd(archive);
  if (found === null) throw broken(name, 'it is no ZIP archive, or its end is missing');
  const record = directory64(archive, found) ?? {
    end: found,
    count: archive.readUInt16LE(found + 10),
    size: archive.readUInt32LE(found + 12),
    start: archive.readUInt32LE(found + 16),
  };
  const start = record.end - record.size;
  const shift = start - record.start;
  if (start < 0 || shift < 0 || record.count * HEADER_BYTES > record.size) {
    throw broken(name, 'its list of files is damaged');
  }
  return { start, end: record.end, count: record.count, shift };
}

function findEnd(archive: Buffer): number | null {
  const last = archive.length - END_BYTES;
  for (let offset = last; offset >= Math.max(0, last - LONGEST_COMMENT); offset -= 1) {
    if (archive.readUInt32LE(offset) === END && archive.readUInt16LE(offset + 20) <= last - offset) return offset;
  }
  return null;
}

function directory64(
  archive: Buffer,
  end: number,
): { readonly end: number; readonly count: number; readonly size: number; readonly start: number } | null {
  const locator = end - LOCATOR_64_BYTES;
  if (locator < 0 || archive.readUInt32LE(locator) !== LOCATOR_64) return null;
  const offset = Number(archive.readBigUInt64LE(locator + 8));
  if (offset + 56 > locator || archive.readUInt32LE(offset) !== END_64) return null;
  return {
    end: offset,
    count: Number(archive.readBigUInt64LE(offset + 32)),
    size: Number(archive.readBigUInt64LE(offset + 40)),
    start: Number(archive.readBigUInt64LE(offset + 48)),
  };
}

type Header = Omit<ZipEntry, 'dataStart'> & {
  readonly isFolder: boolean;
  readonly localStart: number;
  /** Where the next header begins. */
  readonly next: number;
};

function readHeader(archive: Buffer, offset: number, name: string): Header {
  const flags = archive.readUInt16LE(offset + 8);
  const nameEnd = offset + HEADER_BYTES + archive.readUInt16LE(offset + 28);
  const extraEnd = nameEnd + archive.readUInt16LE(offset + 30);
  const next = extraEnd + archive.readUInt16LE(offset + 32);
  if (next > archive.length) throw broken(name, 'its list of files is damaged');
  const rawName = archive.subarray(offset + HEADER_BYTES, nameEnd);
  const [size, packedSize, localStart] = wide(archive.subarray(nameEnd, extraEnd), [
    archive.readUInt32LE(offset + 24),
    archive.readUInt32LE(offset + 20),
    archive.readUInt32LE(offset + 42),
  ]);
  const path = decodeName(rawName, (flags & 0x800) !== 0).replaceAll('\\', '/');
  return {
    name: safePath(path),
    isFolder: path.endsWith('/'),
    method: archive.readUInt16LE(offset + 10),
    encrypted: (flags & 1) !== 0,
    crc: archive.readUInt32LE(offset + 16),
    packedSize: packedSize ?? 0,
    size: size ?? 0,
    localStart: localStart ?? 0,
    next,
  };
}

/** Takes the 64-bit values of those fields that say so from the extra field, where they stand in this order. */
function wide(extra: Buffer, fields: readonly number[]): readonly number[] {
  if (!fields.includes(IN_EXTRA)) return fields;
  for (let offset = 0; offset + 4 <= extra.length; ) {
    const end = offset + 4 + extra.readUInt16LE(offset + 2);
    if (extra.readUInt16LE(offset) === EXTRA_64) {
      let position = offset + 4;
      return fields.map((field) => {
        if (field !== IN_EXTRA || position + 8 > Math.min(end, extra.length)) return field;
        position += 8;
        return Number(extra.readBigUInt64LE(position - 8));
      });
    }
    offset = end;
  }
  return fields;
}

/** Finds the packed bytes behind the local header, whose name and extra field may be longer than the directory's. */
function locate(archive: Buffer, { isFolder: _, localStart, next: __, ...entry }: Header, name: string): ZipEntry {
  const damaged = (): AppError => broken(name, `its part "${entry.name}" is missing or cut off`);
  if (localStart + LOCAL_HEADER_BYTES > archive.length) throw damaged();
  if (archive.readUInt32LE(localStart) !== LOCAL_HEADER) throw damaged();
  const dataStart =
    localStart + LOCAL_HEADER_BYTES + archive.readUInt16LE(localStart + 26) + archive.readUInt16LE(localStart + 28);
  if (dataStart + entry.packedSize > archive.length) throw damaged();
  return { ...entry, dataStart };
}

/** Entries that share their packed bytes are the mark of a bomb that needs no nesting. */
function checkOverlaps(entries: readonly ZipEntry[], name: string): void {
  const byStart = [...entries].sort((a, b) => a.dataStart - b.dataStart);
  let end = 0;
  for (const entry of byStart) {
    if (entry.packedSize === 0) continue;
    if (entry.dataStart < end) throw tooMuch(name, 'holds files that share their bytes, as only archive bombs do');
    end = entry.dataStart + entry.packedSize;
  }
}

function decodeName(bytes: Buffer, isUtf8: boolean): string {
  try {
    return new TextDecoder('utf-8', { fatal: !isUtf8 }).decode(bytes);
  } catch {
    return bytes.toString('latin1').replace(/[\x80-\xFF]/g, (byte) => CODE_PAGE_437[byte.charCodeAt(0) - 128] ?? byte);
  }
}

/** The path without what would lead out of a folder or break a line: `..`, drive letters, a leading `/`, controls. */
function safePath(path: string): string {
  return path
    .replace(/\p{Cc}/gu, '')
    .replace(/^[a-z]:/i, '')
    .split('/')
    .filter((part) => part !== '' && part !== '.' && part !== '..')
    .join('/');
}

/** `why` says what is wrong, in the manner of "its end is missing". */
export function broken(name: string, why: string, cause?: unknown): AppError {
  return new AppError(
    'parse_failed',
    `"${name}" cannot be read: ${why}. Open it in the program that made it, save it again and upload the copy.`,
    { cause },
  );
}
