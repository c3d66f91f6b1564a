import { AppError } from '../../kernel/index.ts';
import { type ContentKind, detectKind, SNIFF_BYTES } from './file-type.ts';
import type { LoadedText } from './loaded-text.ts';
import { loadMarkdown } from './markdown-loader.ts';
import { loadQuestions } from './qa-loader.ts';
import { cleanText, controlShare, hasContent } from './text-cleaning.ts';
import { decodeText } from './text-encoding.ts';

/** Text with a higher share of control characters was never written by a person. */
const MOST_CONTROLS = 0.3;

export interface ContentSource {
  readonly name: string;
  readonly mediaType: string;
}

/**
 * Reads one input: tells its type, decodes and cleans it.
 *
 * @throws AppError `unsupported_file_type`, `binary_content`, `invalid_encoding`, `empty_content`, `content_too_large`
 *   (more than `maxCharacters` UTF-16 units) or `parse_failed`.
 */
export async function loadContent(
  bytes: Uint8Array,
  source: ContentSource,
  maxCharacters: number,
): Promise<LoadedText> {
  const kind = detectKind(source, bytes.subarray(0, SNIFF_BYTES));
  const raw = decodeText(bytes, source);
  if (controlShare(raw) > MOST_CONTROLS) throw binaryContent(source);
  if (raw.length > maxCharacters) {
    throw new AppError(
      'content_too_large',
      `"${source.name}" holds more than ${maxCharacters} characters. Split it into smaller files.`,
    );
  }
  const loaded = await load(kind, raw);
  if (!hasContent(loaded.text)) throw emptyContent(source.name);
  return loaded;
}

/**
 * What is wrong with a small input, as far as that can be told without parsing HTML; null when nothing is. `bytes` are
 * its first ones, or all of them when `whole`.
 */
export function findFault(bytes: Uint8Array, source: ContentSource, whole: boolean): AppError | null {
  try {
    const kind = detectKind(source, bytes.subarray(0, SNIFF_BYTES));
    if (!whole) return null;
    const raw = decodeText(bytes, source);
    if (controlShare(raw) > MOST_CONTROLS) return binaryContent(source);
    const text = kind === 'markdown' || kind === 'note' ? loadMarkdown(raw).text : raw;
    return hasContent(cleanText(text)) ? null : emptyContent(source.name);
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
}

async function load(kind: ContentKind, raw: string): Promise<LoadedText> {
  switch (kind) {
    case 'markdown':
      return loadMarkdown(
        raw,
        /<table[\s>]/i.test(raw) ? (await import('./html-loader.ts')).convertHtmlTable : undefined,
      );
    case 'html':
      return (await import('./html-loader.ts')).loadHtml(raw);
    case 'note':
      return { ...loadMarkdown(raw), title: null };
    case 'qa':
      return loadQuestions(raw);
    case 'plain':
      return { title: null, text: cleanText(raw), layout: 'plain' };
  }
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
