import { AppError } from '../../kernel/index.ts';

/** How an input is read. `note`: text handed in through the API; `qa`: a JSON list of questions and answers. */
export type ContentKind = 'markdown' | 'html' | 'plain' | 'note' | 'qa';

/** Media types of inputs that no client can upload: the trainer writes them itself. */
export const NOTE_MEDIA_TYPE = 'text/vnd.chatsphere.note';
export const QA_MEDIA_TYPE = 'application/vnd.chatsphere.qa+json';

/** Bytes from the start of an input that are enough to tell its type. */
export const SNIFF_BYTES = 8_192;

const EXTENSIONS: ReadonlyMap<string, ContentKind> = new Map<string, ContentKind>([
  ...['md', 'markdown', 'mdown', 'mkd', 'mdx'].map((extension) => [extension, 'markdown'] as const),
  ...['html', 'htm', 'xhtml'].map((extension) => [extension, 'html'] as const),
  ...['txt', 'text', 'log', 'rst', 'adoc', 'asciidoc', 'org', 'tex'].map((extension) => [extension, 'plain'] as const),
  ...['csv', 'tsv', 'json', 'jsonl', 'ndjson', 'yaml', 'yml', 'xml', 'toml', 'ini', 'srt', 'vtt'].map(
    (extension) => [extension, 'plain'] as const,
  ),
]);

/** Formats that look like text but are not meant to be read as it. */
const REFUSED_EXTENSIONS = new Set([
  'pdf',
  'rtf',
  'svg',
  'eml',
  'mbox',
  'ps',
  'doc',
  'docx',
  'xlsx',
  'pptx',
  'odt',
  'epub',
]);

const MEDIA_TYPES: ReadonlyMap<string, ContentKind> = new Map<string, ContentKind>([
  [NOTE_MEDIA_TYPE, 'note'],
  [QA_MEDIA_TYPE, 'qa'],
  ['text/markdown', 'markdown'],
  ['text/x-markdown', 'markdown'],
  ['text/html', 'html'],
  ['application/xhtml+xml', 'html'],
]);

const MAGIC_NUMBERS: readonly string[] = [
  '%PDF-',
  'PK\x03\x04',
  'PK\x05\x06',
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
  '\xD0\xCF\x11\xE0',
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

const SUPPORTED =
  'Supported are Markdown (.md, .markdown), HTML (.html, .htm) and plain text (.txt, .text, .rst, .log, .csv, .json, .yaml, .xml).';

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
  const byName = EXTENSIONS.get(extension);
  if (REFUSED_EXTENSIONS.has(extension)) throw unsupported(input.name);
  if (isBinary(head)) {
    throw byName === undefined ? unsupported(input.name) : binary(input.name);
  }
  const start = latin1(head.subarray(0, 512)).trimStart().toLowerCase();
  if (start.startsWith('{\\rtf')) throw unsupported(input.name);
  if (byName !== 'plain' && /^(\xEF\xBB\xBF)?(<\?xml[^>]*>\s*)?(<!doctype html|<html)/.test(start)) return 'html';
  return byName ?? internal ?? 'plain';
}

function extensionOf(name: string): string {
  return /\.([^./\\]+)$/.exec(name)?.[1]?.toLowerCase() ?? '';
}

function isBinary(head: Uint8Array): boolean {
  const start = latin1(head.subarray(0, 16));
  if (MAGIC_NUMBERS.some((magic) => start.startsWith(magic))) return true;
  if (start.startsWith('\xFF\xFE') || start.startsWith('\xFE\xFF')) return false;
  const sniffed = head.subarray(0, SNIFF_BYTES);
  if (sniffed.includes(0)) return true;
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
