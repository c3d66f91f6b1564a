import { type FileHandle, open } from 'node:fs/promises';
import { borderIn } from './stretches.ts';

/** Bytes of text that are read at once from a file that is too large to be one document. */
const STRETCH_BYTES = 1_048_576;
const HEAD_BYTES = 65_536;
const LONGEST_LEAD = 4_000;

/** What of a structure must be repeated where a stretch begins in its midst. */
export type Repeats =
  /** Markdown: the header of a table, the opening of a code fence. */
  | 'markdown'
  /** Delimited text: the first line; stretches end between records. */
  | 'first-line'
  | 'nothing';

export interface Stretch {
  readonly bytes: Uint8Array;
  /** From 1. */
  readonly part: number;
  /** Where the next one begins, opaque; null after the last. */
  readonly next: string | null;
  /** How much of the file has been read with this one, 0..1. */
  readonly share: number;
}

interface Cursor {
  readonly at: number;
  readonly part: number;
  /** Text that the stretch is to begin with. */
  readonly lead: string;
}

/** How offsets of characters and bytes go together, as far as cutting needs to know. */
type Width = 'bytes' | 'utf-16le' | 'utf-16be';

/**
 * Reads one stretch of a text file, about 1 MiB, cut before a section, a paragraph, a line or a word if there is any. The
 * file is never held in memory. Bytes keep their encoding, and each stretch begins like a file of its own.
 */
export async function readStretch(path: string, from: string | null, repeats: Repeats): Promise<Stretch> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const width = widthOf(await read(file, 0, Math.min(size, HEAD_BYTES)));
    const { at, part, lead }: Cursor = from === null ? { at: 0, part: 1, lead: '' } : JSON.parse(from);
    const isLast = size - at <= STRETCH_BYTES * 1.5;
    const found = await read(file, at, isLast ? size - at : STRETCH_BYTES);
    const view = viewOf(found, width);
    const end = isLast ? view.length : endOf(view, repeats);
    const taken = lead + view.slice(0, end);
    const next: Cursor = {
      at: at + (width === 'bytes' ? end : end * 2),
      part: part + 1,
      lead: leadOf(taken, view.slice(end, end + 1), { repeats, lead }),
    };
    return {
      bytes: bytesOf(taken, width, part > 1),
      part,
      next: isLast ? null : JSON.stringify(next),
      share: next.at / size,
    };
  } finally {
    await file.close();
  }
}

async function read(file: FileHandle, at: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(bytes, filled, length - filled, at + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}

/** UTF-16 by its mark, or by the zeros that make every other byte of Western text. */
function widthOf(head: Buffer): Width {
  if (head[0] === 0xff && head[1] === 0xfe) return 'utf-16le';
  if (head[0] === 0xfe && head[1] === 0xff) return 'utf-16be';
  const zeros = [0, 0];
  for (const [position, byte] of head.entries()) if (byte === 0) zeros[position % 2] = (zeros[position % 2] ?? 0) + 1;
  const [even = 0, odd = 0] = zeros;
  if (even + odd <= head.length / 20) return 'bytes';
  return odd > even ? 'utf-16le' : 'utf-16be';
}

/** One unit a character that cutting looks at: in the encodings of bytes, line feeds and blanks are always themselves. */
function viewOf(bytes: Buffer, width: Width): string {
  const even = bytes.subarray(0, bytes.length - (bytes.length % 2));
  if (width === 'bytes') return bytes.toString('latin1');
  return (width === 'utf-16le' ? even : Buffer.from(even).swap16()).toString('utf16le');
}

function bytesOf(view: string, width: Width, needsMark: boolean): Buffer {
  if (width === 'bytes') return Buffer.from(view, 'latin1');
  const marked = Buffer.from(needsMark ? `\uFEFF${view}` : view, 'utf16le');
  return width === 'utf-16le' ? marked : marked.swap16();
}

function endOf(view: string, repeats: Repeats): number {
  if (repeats === 'first-line') return endOfRecord(view);
  const border = borderIn(view);
  if (border < view.length) return border;
  // Characters of UTF-8 go on with 10xxxxxx; in UTF-16 a pair must not be cut.
  let end = view.length;
  while (end > view.length - 4 && continuesCharacter(view.charCodeAt(end - 1))) end -= 1;
  return startsCharacter(view.charCodeAt(end - 1)) ? end - 1 : view.length;
}

function continuesCharacter(unit: number): boolean {
  return unit >= 0x80 && unit < 0xc0;
}

/** The first byte of several, or the first half of a pair. */
function startsCharacter(unit: number): boolean {
  return (unit >= 0xc0 && unit <= 0xff) || (unit >= 0xd800 && unit <= 0xdbff);
}

/** The last line end outside quotes, so that no record is torn. */
function endOfRecord(view: string): number {
  let quoted = false;
  let end = 0;
  for (let position = 0; position < view.length; position += 1) {
    const unit = view.charCodeAt(position);
    if (unit === 0x22) quoted = !quoted;
    else if (unit === 0x0a && !quoted) end = position + 1;
  }
  return end > view.length >> 1 ? end : borderIn(view);
}

function leadOf(
  taken: string,
  following: string,
  { repeats, lead }: { readonly repeats: Repeats; readonly lead: string },
): string {
  if (repeats === 'nothing') return '';
  if (repeats === 'first-line') return lead === '' ? bounded(firstLine(taken)) : lead;
  const fence = openFence(taken);
  if (fence !== null) return bounded(`${fence}\n`);
  return following === '|' ? bounded(headerOfLastTable(taken)) : '';
}

function bounded(lead: string): string {
  return lead.length > LONGEST_LEAD ? '' : lead;
}

function firstLine(text: string): string {
  return text.slice(0, text.indexOf('\n') + 1).replace(/^\uFEFF|^\u00EF\u00BB\u00BF/, '');
}

/** The line that opens the code fence in which the text ends; null when it ends outside. */
function openFence(text: string): string | null {
  let open: { readonly marker: string; readonly line: string } | null = null;
  for (const [line, marker = ''] of text.matchAll(/^ {0,3}(`{3,}|~{3,})[^\r\n]*/gm)) {
    if (open === null) open = { marker, line };
    else if (marker.startsWith(open.marker) && line.trim() === marker) open = null;
  }
  return open?.line ?? null;
}

/** The first two lines of the table that the text ends with. */
function headerOfLastTable(text: string): string {
  let start = text.length;
  while (start > 0) {
    const before = text.lastIndexOf('\n', start - 2) + 1;
    if (text.charAt(before) !== '|') break;
    start = before;
  }
  const delimiter = text.indexOf('\n', start) + 1;
  const end = text.indexOf('\n', delimiter) + 1;
  return /^\|[ :|-]+\|?\s*$/.test(text.slice(delimiter, end)) ? text.slice(start, end) : '';
}
