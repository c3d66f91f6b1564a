import { open, readFile } from 'node:fs/promises';
import { AppError } from '../../kernel/index.ts';
import type { ContentKind } from '../file-kinds/index.ts';
import type { ReadingCaution } from '../ports.ts';
import { type ContentSource, type LoadLimits, loadContent } from './content-loader.ts';
import { detectKind, SNIFF_BYTES } from './file-type.ts';
import { type Repeats, readStretch } from './large-text.ts';
import { isMultiple, type LoadedContent, type LoadedText, type NamedText, type RefusedPart } from './loaded-text.ts';

export interface FileSource extends ContentSource {
  readonly path: string;
  readonly from: string | null;
}

/** Larger files of the kinds below are read stretch by stretch and become several documents. */
const LARGE_BYTES = 1_572_864;
const STREAMED: ReadonlyMap<ContentKind, Repeats> = new Map([
  ['plain', 'nothing'],
  ['note', 'markdown'],
  ['markdown', 'markdown'],
  ['delimited', 'first-line'],
  ['json-lines', 'nothing'],
]);
/** What may be an archive of several files. */
const PACKED: ReadonlySet<ContentKind> = new Set(['archive', 'office', 'book']);
/** UTF-8 takes up to four bytes a character: more bytes than this hold too many characters for sure. */
const MOST_BYTES_A_CHARACTER = 4;

/**
 * Reads the next part of a file. Large files of text are never held in memory; a stretch of them that cannot be used is
 * refused alone. What else is large is read whole.
 *
 * @throws AppError as `loadContent` does.
 */
export async function loadFile(source: FileSource, limits: LoadLimits): Promise<LoadedText | LoadedContent> {
  const { size, head } = await openingOf(source.path);
  const kind = detectKind(source, head);
  const repeats = size > LARGE_BYTES ? STREAMED.get(kind) : undefined;
  const { caution } = source;
  // A stretch is read alone in any case: it can only be passed over.
  const isOfSeveral = PACKED.has(kind) || (repeats !== undefined && caution?.type === 'pass-over');
  if (caution !== undefined && !isOfSeveral) throw faultOf(caution);
  if (repeats !== undefined) return loadStretch(source, repeats, limits);
  if (size > limits.maxCharacters * MOST_BYTES_A_CHARACTER) {
    throw new AppError('content_too_large', `"${source.name}" is too large to read. Split it into smaller files.`);
  }
  return loadContent(await readFile(source.path), source, limits);
}

function faultOf({ fault }: ReadingCaution): AppError {
  return new AppError(fault.code, fault.message);
}

async function openingOf(path: string): Promise<{ readonly size: number; readonly head: Buffer }> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(SNIFF_BYTES), position: 0 });
    return { size, head: buffer.subarray(0, bytesRead) };
  } finally {
    await file.close();
  }
}

async function loadStretch(source: FileSource, repeats: Repeats, limits: LoadLimits): Promise<LoadedContent> {
  const { bytes, part, next, share } = await readStretch(source.path, source.from, repeats);
  const loaded = await loadOrRefuse(bytes, { ...source, from: null }, { limits, part });
  return {
    texts: 'text' in loaded ? [loaded] : [],
    refusals: 'code' in loaded && loaded.code !== 'empty_content' ? [loaded] : [],
    next,
    share,
  };
}

async function loadOrRefuse(
  bytes: Uint8Array,
  source: FileSource,
  { limits, part }: { readonly limits: LoadLimits; readonly part: number },
): Promise<NamedText | RefusedPart> {
  const { name, caution } = source;
  try {
    if (caution !== undefined) throw faultOf(caution);
    const loaded = await loadContent(bytes, source, limits);
    if (isMultiple(loaded)) throw new AppError('parse_failed', `"${name}" cannot be read in parts.`);
    return { ...loaded, name, part };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return { name: `${name} (part ${part})`, code: error.code, message: `Part ${part}: ${error.message}` };
  }
}
