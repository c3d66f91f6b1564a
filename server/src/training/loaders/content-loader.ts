import { AppError } from '../../kernel/index.ts';
import type { ContentKind } from '../file-kinds/index.ts';
import type { ReadingCaution } from '../ports.ts';
import { detectKind, isByteKind, SNIFF_BYTES } from './file-type.ts';
import { loadJson, loadJsonLines } from './json-loader.ts';
import { isMultiple, type LoadedContent, type LoadedText } from './loaded-text.ts';
import { loadMarkdown } from './markdown-loader.ts';
import type { LoadFile } from './office/archive-loader.ts';
import { loadQuestions } from './qa-loader.ts';
import { loadRichText } from './rich-text-loader.ts';
import { loadSubtitles } from './subtitles-loader.ts';
import { cleanText, controlShare, hasContent } from './text-cleaning.ts';
import { decodeText } from './text-encoding.ts';

/** Text with a higher share of control characters was never written by a person. */
const MOST_CONTROLS = 0.3;
/** Most texts show within so many characters that there is something in them. */
const LOOKED_AT_FIRST = 4_000;

export interface ContentSource {
  readonly name: string;
  readonly mediaType: string;
  /** Where to go on in an input that is read in parts (`LoadedContent.next`); null: from its beginning. */
  readonly from?: string | null;
  /** The file that the bytes are read from, for loaders that need not hold it in memory; absent within an archive. */
  readonly path?: string;
  /** How to go on where reading has ended the thread. */
  readonly caution?: ReadingCaution;
}

export interface LoadLimits {
  /** Longest text of one input, in UTF-16 units. */
  readonly maxCharacters: number;
}

/** An input whose kind is known. */
interface OpenedContent {
  readonly bytes: Uint8Array;
  readonly source: ContentSource;
  readonly limits: LoadLimits;
  /** The bytes as text. */
  text(): string;
}

/**
 * Reads one input: tells its type, decodes and cleans it. Inputs that hold several texts give a `LoadedContent`, whose
 * `next` says where the next call goes on.
 *
 * @throws AppError `unsupported_file_type`, `binary_content`, `invalid_encoding`, `empty_content`, `content_too_large`
 *   (more than `maxCharacters` UTF-16 units) or `parse_failed`.
 */
export async function loadContent(
  bytes: Uint8Array,
  source: ContentSource,
  limits: LoadLimits,
): Promise<LoadedText | LoadedContent> {
  const kind = detectKind(source, bytes.subarray(0, SNIFF_BYTES));
  const loaded = await load(kind, { bytes, source, limits, text: () => textOf(bytes, source, limits) });
  if (!isMultiple(loaded) && !hasContent(loaded.text)) throw emptyContent(source.name);
  return loaded;
}

function textOf(bytes: Uint8Array, source: ContentSource, { maxCharacters }: LoadLimits): string {
  const raw = decodeText(bytes, source);
  if (controlShare(raw) > MOST_CONTROLS) throw binaryContent(source);
  if (raw.length <= maxCharacters) return raw;
  throw new AppError(
    'content_too_large',
    `"${source.name}" holds more than ${maxCharacters} characters. Split it into smaller files.`,
  );
}

/**
 * What is wrong with a small input, as far as that can be told without parsing HTML; null when nothing is. `bytes` are
 * its first ones, or all of them when `whole`.
 */
export function findFault(bytes: Uint8Array, source: ContentSource, whole: boolean): AppError | null {
  try {
    const kind = detectKind(source, bytes.subarray(0, SNIFF_BYTES));
    if (!whole || isByteKind(kind)) return null;
    const raw = decodeText(bytes, source);
    if (controlShare(raw) > MOST_CONTROLS) return binaryContent(source);
    return showsContent(raw.slice(0, LOOKED_AT_FIRST), kind) || showsContent(raw, kind)
      ? null
      : emptyContent(source.name);
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
}

function showsContent(raw: string, kind: ContentKind): boolean {
  const text = kind === 'markdown' || kind === 'note' ? loadMarkdown(raw).text : raw;
  return hasContent(cleanText(text));
}

async function load(kind: ContentKind, opened: OpenedContent): Promise<LoadedText | LoadedContent> {
  switch (kind) {
    case 'markdown':
      return loadMarkdownPage(opened.text());
    case 'html':
      return (await import('./html-loader.ts')).loadHtml(opened.text());
    case 'note':
      return { ...loadMarkdown(opened.text()), title: null };
    case 'qa':
      return loadQuestions(opened.text());
    case 'delimited':
      return (await import('./delimited-loader.ts')).loadDelimited(opened.text());
    case 'json':
      return loadJson(opened.text(), opened.source.name);
    case 'json-lines':
      return loadJsonLines(opened.text(), opened.source.name);
    case 'subtitles':
      return loadSubtitles(opened.text(), opened.source.name);
    case 'rich-text':
      return loadRichText(opened.bytes, opened.source.name);
    case 'mail':
      return (await import('./mail-loader.ts')).loadMail(opened.bytes);
    case 'compound':
      return (await import('./compound-loader.ts')).loadCompound(opened.bytes, opened.source.name);
    case 'office':
    case 'book':
    case 'archive':
      return loadOffice(opened);
    case 'pdf':
      return (await import('./pdf-loader.ts')).loadPdf(opened.bytes, opened.source, opened.limits);
    case 'plain':
      return { title: null, text: cleanText(opened.text()), layout: 'plain' };
  }
}

async function loadMarkdownPage(raw: string): Promise<LoadedText> {
  if (!/<table[\s>]/i.test(raw)) return loadMarkdown(raw);
  return loadMarkdown(raw, (await import('./html-loader.ts')).convertHtmlTable);
}

async function loadOffice({ bytes, source, limits }: OpenedContent): Promise<LoadedText | LoadedContent> {
  const { loadPacked } = await import('./office/packed-loader.ts');
  const loadFile: LoadFile = (file, of) => loadContent(file, of, limits);
  return loadPacked(bytes, source, { ...limits, loadFile });
}

function emptyContent(name: string): AppError {
  return new AppError('empty_content', `"${name}" holds no text to train on.`);
}

function binaryContent({ name }: ContentSource): AppError {
  return new AppError(
    'binary_content',
    `"${name}" holds binary data, not text. Save it as UTF-8 text and upload it again.`,
  );
}
