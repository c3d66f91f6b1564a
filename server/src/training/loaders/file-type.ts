import { AppError } from '../../kernel/index.ts';
import { type ByteKind, type ContentKind, EXTENSIONS_OF } from '../file-kinds/index.ts';
import { unmarkedUtf16 } from './text-encoding.ts';

/** Media types of inputs that no client can upload: the trainer writes them itself. */
export const NOTE_MEDIA_TYPE = 'text/vnd.chatsphere.note';
export const QA_MEDIA_TYPE = 'application/vnd.chatsphere.qa+json';

/** Bytes from the start of an input that are enough to tell its type. */
export const SNIFF_BYTES = 8_192;

const EXTENSIONS: ReadonlyMap<string, ContentKind> = new Map(
  Object.entries(EXTENSIONS_OF).flatMap(([kind, extensions]) =>
    extensions.map((extension): [string, ContentKind] => [extension, kind as ContentKind]),
  ),
);

/** Formats that look like text but are not meant to be read as it. */
const REFUSED_EXTENSIONS = new Set(['svg', 'mbox', 'ps', 'doc']);

const MEDIA_TYPES: ReadonlyMap<string, ContentKind> = new Map<string, ContentKind>([
  [NOTE_MEDIA_TYPE, 'note'],
  [QA_MEDIA_TYPE, 'qa'],
  ['text/markdown', 'markdown'],
  ['text/x-markdown', 'markdown'],
  ['text/html', 'html'],
  ['application/xhtml+xml', 'html'],
  ['text/csv', 'delimited'],
  ['text/tab-separated-values', 'delimited'],
  ['application/json', 'json'],
  ['application/x-ndjson', 'json-lines'],
  ['application/jsonl', 'json-lines'],
  ['text/vtt', 'subtitles'],
  ['application/x-subrip', 'subtitles'],
  ['application/rtf', 'rich-text'],
  ['text/rtf', 'rich-text'],
  ['message/rfc822', 'mail'],
  ['application/vnd.ms-outlook', 'compound'],
  ['application/pdf', 'pdf'],
]);

const MAGIC_NUMBERS: readonly string[] = [
  '\x89PNG',
  '\xFF\xD8\xFF',
  'GIF87a',
  'GIF89a',
  'RIFF',
  'II*\0',
  'MM\0*',
  '\x1F\x8B',
  'BZh9',
  '7z\xBC\xAF\x27\x1C',
  '\xFD7zXZ',
  'Rar!\x1A',
  '\x7FELF',
  'SQLite format 3\0',
  'ID3\x03',
  'ID3\x04',
  'OggS\0',
  'fLaC\0',
  'wOFF',
  'wOF2',
  '\0asm',
];

const COMPOUND_FILE = '\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1';
const ZIP_ARCHIVE: readonly string[] = ['PK\x03\x04', 'PK\x05\x06', 'PK\x07\x08'];
const BYTE_KINDS: ReadonlySet<ContentKind> = new Set<ByteKind>([
  'rich-text',
  'mail',
  'compound',
  'office',
  'book',
  'archive',
  'pdf',
]);

const LABELS: Readonly<Partial<Record<ContentKind, string>>> = {
  markdown: 'Markdown',
  html: 'HTML',
  plain: 'plain text',
  delimited: 'tables',
  json: 'JSON',
  'json-lines': 'JSON Lines',
  subtitles: 'subtitles',
  'rich-text': 'Rich Text',
  mail: 'e-mail',
  compound: 'Outlook messages',
  office: 'Office documents',
  book: 'books',
  archive: 'archives of these',
  pdf: 'PDF',
};

const SUPPORTED = `Supported are ${Object.entries(EXTENSIONS_OF)
  .map(([kind, extensions]) => `${LABELS[kind as ContentKind] ?? kind} (.${extensions.slice(0, 3).join(', .')})`)
  .join(', ')}.`;

/** Whether the kind's loader reads the bytes themselves. */
export function isByteKind(kind: ContentKind): kind is ByteKind {
  return BYTE_KINDS.has(kind);
}

/**
 * Tells how an input is to be read, from its name, its media type and its first bytes.
 *
 * @throws AppError `binary_content` (bytes that are not text under a name that promises text) or
 *   `unsupported_file_type` (anything else that is not text).
 */
export function detectKind(
  input: { readonly name: string; readonly mediaType: string },
  head: Uint8Array,
): ContentKind {
  const mediaType = input.mediaType.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  const internal = MEDIA_TYPES.get(mediaType);
  if (internal === 'note' || internal === 'qa') return internal;
  const extension = extensionOf(input.name);
  if (latin1(head.subarray(0, 8)) === COMPOUND_FILE) return 'compound';
  if (ZIP_ARCHIVE.includes(latin1(head.subarray(0, 4)))) return 'archive';
  const start = latin1(head.subarray(0, 512)).trimStart().toLowerCase();
  if (start.startsWith('{\\rtf')) return 'rich-text';
  if (isPdf(head, extension)) return 'pdf';
  if (REFUSED_EXTENSIONS.has(extension)) throw unsupported(input.name);
  const promised = EXTENSIONS.get(extension) ?? internal;
  if (promised === 'mail') return 'mail';
  // Bytes that are not what the name promises: the loader says what is wrong with them.
  if (isPacked(promised) && isBinary(head)) return 'archive';
  if (promised === 'pdf' && isBinary(head)) return promised;
  if (isBinary(head)) throw promised === undefined ? unsupported(input.name) : binary(input.name);
  if (!DATA_KINDS.has(promised) && HTML_START.test(start)) return 'html';
  // A text under the name of a binary format.
  return promised === undefined || isByteKind(promised) ? 'plain' : promised;
}

/** Kinds that may hold a page of HTML as data. */
const DATA_KINDS: ReadonlySet<ContentKind | undefined> = new Set(['plain', 'json', 'json-lines', 'delimited']);
const HTML_START = /^(\xEF\xBB\xBF)?(<\?xml[^>]*>\s*)?(<!doctype html|<html)/;

function isPacked(kind: ContentKind | undefined): boolean {
  return kind === 'office' || kind === 'book' || kind === 'archive';
}

function extensionOf(name: string): string {
  return /\.([^./\\]+)$/.exec(name)?.[1]?.toLowerCase() ?? '';
}

/** The mark may stand behind other bytes (a print job, a mail header), but where text is promised it may be a quotation. */
function isPdf(head: Uint8Array, extension: string): boolean {
  const start = latin1(head.subarray(0, 1_024));
  const at = start.indexOf('%PDF-');
  return at === 0 || (at > 0 && (extension === 'pdf' || !EXTENSIONS.has(extension)));
}

function isBinary(head: Uint8Array): boolean {
  const start = latin1(head.subarray(0, 16));
  if (MAGIC_NUMBERS.some((magic) => start.startsWith(magic))) return true;
  if (start.startsWith('\xFF\xFE') || start.startsWith('\xFE\xFF')) return false;
  const sniffed = head.subarray(0, SNIFF_BYTES);
  if (sniffed.includes(0)) return unmarkedUtf16(sniffed) === null;
  const controls = sniffed.filter((byte) => byte < 32 && !(byte >= 8 && byte <= 13) && byte !== 27).length;
  return controls > sniffed.length / 10;
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

function unsupported(name: string): AppError {
  return new AppError('unsupported_file_type', `"${name}" is not of a type that can be trained on. ${SUPPORTED}`);
}

function binary(name: string): AppError {
  return new AppError(
    'binary_content',
    `"${name}" is named like text but holds binary data. Save it as UTF-8 text and upload it again.`,
  );
}
