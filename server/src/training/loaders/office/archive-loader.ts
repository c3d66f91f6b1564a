import { AppError } from '../../../kernel/index.ts';
import type { ReadingCaution } from '../../ports.ts';
import { detectKind, SNIFF_BYTES } from '../file-type.ts';
import { isMultiple, type LoadedContent, type LoadedText, type NamedText, type RefusedPart } from '../loaded-text.ts';
import { hasContent } from '../text-cleaning.ts';
import { createUnpackBudget, tooMuch, UNPACK_LIMITS, type UnpackBudget, type UnpackedSoFar } from './unpack-budget.ts';
import { openZip, type ZipArchive } from './zip-archive.ts';
import type { ZipEntry } from './zip-directory.ts';

/** Loads a file that is no archive. */
export type LoadFile = (
  bytes: Uint8Array,
  file: { readonly name: string; readonly mediaType: string; readonly from: string | null },
) => Promise<LoadedText | LoadedContent>;

export interface ArchiveOptions {
  readonly name: string;
  /** `LoadedContent.next` of the part before; null to begin. */
  readonly from: string | null;
  /** The next file has ended the thread, or one of the next. */
  readonly caution?: ReadingCaution;
  readonly maxCharacters: number;
  readonly loadFile: LoadFile;
  /** Loads a document that is a ZIP archive itself; `archive` when it is an archive of files. */
  readonly loadDocument: (bytes: Uint8Array, budget: UnpackBudget) => Promise<LoadedText | 'archive'>;
}

/** A part of an archive ends with the file that makes it this large. */
const PART_BYTES = 4_000_000;
const PART_FILES = 64;
/** What systems and programs leave in archives; hidden files and folders too. */
const JUNK = /(?:^|\/)(?:__MACOSX|node_modules|__pycache__)\/|(?:^|\/)(?:\.[^/]*|Thumbs\.db|desktop\.ini)(?:\/|$)/i;
const MOST_BYTES_A_CHARACTER = 4;
/** An archive with more files that end the thread ends there: each holds up whoever waits to be read. */
const MOST_PASSED_OVER = 5;

/** Where the next part begins. */
interface Cursor {
  /** Entries that are done, of the archive and of each one within that is being read. */
  readonly done: readonly number[];
  readonly used: UnpackedSoFar;
  /** Files that were passed over because they ended the thread. */
  readonly passedOver?: number;
}

interface Part {
  readonly options: ArchiveOptions;
  readonly texts: NamedText[];
  readonly refusals: RefusedPart[];
  /** Files that have been looked at. */
  files: number;
  /** Unpacked bytes of the input when the part is full. */
  readonly fullAt: number;
}

/**
 * Reads the next part of an archive of files: each becomes a text of its own, those within archives too, down to
 * `UNPACK_LIMITS.maxDepth`. What cannot be used is refused by itself, and the rest goes on. Names are paths inside the
 * archive, behind the archive's own.
 *
 * @throws AppError `empty_content` when there is no file in it; `parse_failed` when it is no sound archive.
 */
export async function loadArchive(bytes: Uint8Array, options: ArchiveOptions): Promise<LoadedContent> {
  const cursor: Cursor =
    options.from === null ? { done: [], used: { entries: 0, bytes: 0 } } : JSON.parse(options.from);
  const { caution } = options;
  const passedOver = (cursor.passedOver ?? 0) + (caution?.type === 'pass-over' ? 1 : 0);
  if (caution !== undefined && passedOver > MOST_PASSED_OVER) {
    throw new AppError(caution.fault.code, caution.fault.message);
  }
  const budget = createUnpackBudget(options.name, UNPACK_LIMITS, cursor.used);
  const archive = openZip(bytes, budget);
  if (options.from !== null) budget.restore(cursor.used);
  const part: Part = { options, texts: [], refusals: [], files: 0, fullAt: cursor.used.bytes + PART_BYTES };
  const done = await walk(archive, { budget, path: [], from: cursor.done }, part);
  const isEmpty = part.texts.length === 0 && part.refusals.length === 0;
  if (options.from === null && done === null && isEmpty) {
    throw new AppError('empty_content', `"${options.name}" holds no file to train on.`);
  }
  return {
    texts: part.texts,
    refusals: part.refusals,
    next: done === null ? null : JSON.stringify({ done, used: budget.used(), passedOver } satisfies Cursor),
    share: done === null ? 1 : (done[0] ?? 0) / Math.max(1, archive.entries.length),
  };
}

interface Place {
  readonly budget: UnpackBudget;
  /** Position of the archive within the archives around it. */
  readonly path: readonly number[];
  /** Entries that are done, of this archive and those within. */
  readonly from: readonly number[];
}

/** Reads on until the part is full or the archive ends (null); else gives how far it came. */
async function walk(archive: ZipArchive, { budget, path, from }: Place, part: Part): Promise<readonly number[] | null> {
  const [first = 0, ...within] = from;
  for (let position = first; position < archive.entries.length; position += 1) {
    const entry = archive.entries[position];
    if (entry === undefined || JUNK.test(entry.name)) continue;
    if (isFull(part, budget)) return [position];
    const own = budget.within(`${budget.name}/${entry.name}`);
    const place = { budget: own, path: [...path, position], from: position === first ? within : [] };
    const rest = await readEntry(archive, { entry, place }, part);
    if (rest !== null) return [position, ...rest];
    if (budget.isExceeded()) return null;
  }
  return null;
}

function isFull(part: Part, budget: UnpackBudget): boolean {
  if (part.options.caution !== undefined) return part.texts.length + part.refusals.length > 0;
  return part.files >= PART_FILES || budget.used().bytes >= part.fullAt;
}

async function readEntry(
  archive: ZipArchive,
  { entry, place }: { readonly entry: ZipEntry; readonly place: Place },
  part: Part,
): Promise<readonly number[] | null> {
  const { budget } = place;
  const { name } = budget;
  const before = budget.used();
  part.files += 1;
  try {
    // Of an archive within, which is gone on with, the next file is meant.
    if (part.options.caution?.type === 'pass-over' && place.from.length === 0) {
      throw deadly(part.options.caution, name);
    }
    const kind = detectKind({ name, mediaType: '' }, await headOf(archive, entry));
    budget.restore(before);
    if (entry.size > part.options.maxCharacters * MOST_BYTES_A_CHARACTER) {
      throw new AppError('content_too_large', `"${name}" is too large to read. Split it into smaller files.`);
    }
    const bytes = await archive.read(entry);
    if (kind === 'archive') return await readPacked(bytes, { place, before }, part);
    await loadAll(bytes, name, part);
  } catch (error) {
    part.refusals.push(refusalOf(error, name));
  }
  return null;
}

async function readPacked(
  bytes: Uint8Array,
  { place, before }: { readonly place: Place; readonly before: UnpackedSoFar },
  part: Part,
): Promise<readonly number[] | null> {
  const { budget, path, from } = place;
  const { name, limits } = budget;
  const isResumed = from.length > 0;
  const unpacked = budget.used();
  const loaded = isResumed ? 'archive' : await part.options.loadDocument(bytes, budget);
  if (loaded !== 'archive') {
    if (!hasContent(loaded.text)) throw new AppError('empty_content', `"${name}" holds no text to train on.`);
    part.texts.push({ ...loaded, name });
    return null;
  }
  if (path.length >= limits.maxDepth) throw tooMuch(name, `is an archive within ${limits.maxDepth} others`);
  budget.restore(unpacked);
  const archive = openZip(bytes, budget);
  // Its own files one by one, so that it is not passed over with the one at fault.
  if (part.options.caution !== undefined && !isResumed) return [0];
  if (isResumed) budget.restore(before);
  return walk(archive, place, part);
}

/** Files that give several texts are read to their end at once: they are in memory anyway. */
async function loadAll(bytes: Uint8Array, name: string, part: Part): Promise<void> {
  for (let from: string | null = null; ; ) {
    const loaded: LoadedText | LoadedContent = await part.options.loadFile(bytes, { name, mediaType: '', from });
    if (!isMultiple(loaded)) {
      part.texts.push({ ...loaded, name });
      return;
    }
    part.texts.push(...loaded.texts);
    part.refusals.push(...loaded.refusals);
    if (loaded.next === null) return;
    from = loaded.next;
  }
}

async function headOf(archive: ZipArchive, entry: ZipEntry): Promise<Uint8Array> {
  for await (const piece of archive.stream(entry)) return piece.subarray(0, SNIFF_BYTES);
  return new Uint8Array();
}

function deadly({ fault: { code } }: ReadingCaution, name: string): AppError {
  const why = code === 'parse_timeout' ? 'takes too long to read' : 'needs more memory to read than it may use';
  return new AppError(code, `"${name}" ${why}. Split it into smaller files.`);
}

function refusalOf(error: unknown, name: string): RefusedPart {
  if (error instanceof AppError) return { name, code: error.code, message: error.message };
  return {
    name,
    code: 'parse_failed',
    message: `"${name}" cannot be read. Check that it opens, or save it as plain text.`,
  };
}
