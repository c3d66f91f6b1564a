import { AppError } from '../../kernel/index.ts';
import type { LoadedContent, LoadedText, NamedText, RefusedPart } from './loaded-text.ts';
import { openPdf, type PdfDocument } from './pdf-document.ts';
import { layersOf } from './pdf-fragments.ts';
import { createFurnitureFilter, type PageText } from './pdf-furniture.ts';
import { createPageWriter } from './pdf-markdown.ts';
import { createStyle } from './pdf-style.ts';
import { cleanText, hasContent } from './text-cleaning.ts';

export interface PdfSource {
  readonly name: string;
  /** The page behind which to go on; null or absent: from the first. */
  readonly from?: string | null;
  /** The file that the bytes are of; absent within an archive, where nothing is read in parts. */
  readonly path?: string;
}

export interface PdfLimits {
  /** Longest text, in UTF-16 units. */
  readonly maxCharacters: number;
  readonly maxPages?: number;
  /** Larger files are read in parts of this many pages, each a document of its own. */
  readonly pagesPerPart?: number;
}

const MOST_PAGES = 5_000;
const PAGES_PER_PART = 250;
/** Fonts and objects that pdf.js keeps are dropped after this many pages. */
const PAGES_BETWEEN_CLEANUPS = 25;
/** Titles that programs fill in by themselves. */
const NO_TITLE =
  /^(?:untitled|\(?(?:anonymous|unspecified|none)\)?|(?:microsoft|powerpoint|print|document|slide|page|scan)\b.*|.*\.(?:docx?|pptx?|xlsx?|pdf|tex|dvi|indd|qxd|rtf|txt|html?))$/i;

/** Pages to read, from 1, both included. */
interface PageRange {
  readonly first: number;
  readonly last: number;
}

interface ReadPages extends Pick<LoadedText, 'title' | 'text'> {
  readonly pageStarts: readonly number[];
  /** Pages that are damaged. */
  readonly refusals: readonly RefusedPart[];
}

/**
 * Reads the text layer of a PDF page by page, in reading order, as Markdown: columns one after the other, tables by
 * their rows, headings by their size, without running headers and page numbers. Nothing is fetched, drawn or executed.
 * Pages that are damaged are refused by themselves; files of many pages are read in parts.
 *
 * @throws AppError `password_protected`, `too_many_pages`, `content_too_large`, `no_text_layer` (only pictures of text),
 *   `empty_content` (nothing on any page) or `parse_failed` (damaged as a whole).
 */
export async function loadPdf(
  bytes: Uint8Array,
  source: PdfSource,
  limits: PdfLimits,
): Promise<LoadedText | LoadedContent> {
  const { name } = source;
  const document = await openPdf(bytes, name);
  try {
    const most = limits.maxPages ?? MOST_PAGES;
    if (document.pages > most) {
      throw new AppError(
        'too_many_pages',
        `"${name}" has ${document.pages} pages; at most ${most} can be read. Split it into smaller files.`,
      );
    }
    const range = rangeOf(source, document.pages, limits);
    const { refusals, ...read } = await readPages(document, range, { name, ...limits });
    const whole = range.first === 1 && range.last === document.pages;
    const loaded: LoadedText = { layout: 'markdown', ...read };
    const isFilled = hasContent(read.text);
    if (whole && isFilled && refusals.length === 0) return loaded;
    if (whole && !isFilled) throw refusals[0] === undefined ? await whyNoText(document, name) : asError(refusals[0]);
    const { last } = range;
    return {
      texts: isFilled ? [{ ...loaded, name, ...(whole ? {} : numbered(range, loaded.title, limits)) }] : [],
      refusals,
      next: last < document.pages ? String(last) : null,
      share: last / document.pages,
    };
  } finally {
    await document.close();
  }
}

function rangeOf({ from = null, path }: PdfSource, pages: number, limits: PdfLimits): PageRange {
  const first = from === null ? 1 : Number(from) + 1;
  return { first, last: path === undefined ? pages : Math.min(pages, first - 1 + pagesPerPart(limits)) };
}

function pagesPerPart(limits: PdfLimits): number {
  return limits.pagesPerPart ?? PAGES_PER_PART;
}

function numbered({ first }: PageRange, title: string | null, limits: PdfLimits): Pick<NamedText, 'part' | 'title'> {
  const part = Math.floor((first - 1) / pagesPerPart(limits)) + 1;
  return { part, title };
}

function asError({ code, message }: RefusedPart): AppError {
  return new AppError(code, message);
}

async function readPages(
  document: PdfDocument,
  range: PageRange,
  { name, maxCharacters }: PdfLimits & { readonly name: string },
): Promise<ReadPages> {
  const style = createStyle();
  const furniture = createFurnitureFilter();
  const writer = createPageWriter(style, range.first);
  const refusals: RefusedPart[] = [];
  for (let number = range.first; number <= range.last; number += 1) {
    const page = await readPage(document, number);
    if (page instanceof AppError) {
      refusals.push({ name: `${name}, page ${number}`, code: page.code, message: page.message });
    }
    const read = page instanceof AppError ? { number, segments: [], asides: [] } : page;
    style.observe(read);
    for (const ready of furniture.push(read)) writer.add(ready);
    if (number % PAGES_BETWEEN_CLEANUPS === 0) await document.cleanUp();
    if (writer.length() > maxCharacters) {
      throw new AppError(
        'content_too_large',
        `"${name}" holds more than ${maxCharacters} characters. Split it into smaller files.`,
      );
    }
  }
  for (const ready of furniture.flush()) writer.add(ready);
  const read = writer.finish();
  return { title: titleOf(document.title, read.text), ...read, refusals };
}

async function readPage(document: PdfDocument, number: number): Promise<PageText | AppError> {
  try {
    const { items, ...space } = await document.readPage(number);
    const [segments = [], ...asides] = layersOf(items, space);
    return { number, segments, asides: asides.flat() };
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
}

/** The title that the file names, if a person wrote it, or the heading that it begins with. */
function titleOf(named: string | null, text: string): string | null {
  const title = cleanText(named ?? '')
    .replace(/\s+/g, ' ')
    .slice(0, 300);
  if (title.length > 3 && !NO_TITLE.test(title)) return title;
  return /^#{1,2} (.{4,200})$/m.exec(text.slice(0, 500))?.[1] ?? null;
}

async function whyNoText(document: PdfDocument, name: string): Promise<AppError> {
  if (!(await document.isDrawnOn())) {
    return new AppError('empty_content', `"${name}" has only empty pages: there is no text to train on.`);
  }
  return new AppError(
    'no_text_layer',
    `"${name}" holds pictures of pages (a scan), not text. Run text recognition (OCR) over it and upload the result.`,
  );
}
