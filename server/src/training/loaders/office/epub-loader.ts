import { loadChapter } from '../html-loader.ts';
import type { LoadedText } from '../loaded-text.ts';
import { createMarkdownWriter, oneLine, tooLong } from './markdown-writer.ts';
import { type PackedFile, resolvePath, titleText, treeOf } from './office-package.ts';
import { passwordProtected } from './opendocument-loader.ts';
import { childOf, childrenOf, descendantsOf, textOf, type XmlElement } from './xml-reader.ts';
import { broken } from './zip-directory.ts';

/** Fonts may be obfuscated in books that are open otherwise. */
const FONT = /\.(?:otf|ttf|ttc|woff2?|eot)$/i;
/** A chapter is taken apart as a whole. */
const LONGEST_CHAPTER_BYTES = 20_000_000;

/**
 * Reads a book (EPUB 2 and 3): its chapters in the order in which they are read, without its table of contents. The
 * title is that of its metadata.
 *
 * @throws AppError `password_protected` (copy protection), `parse_failed`, `content_too_large`, `unpack_limit_exceeded`.
 */
export async function loadEpub(file: PackedFile): Promise<LoadedText> {
  const container = await treeOf(file, 'META-INF/container.xml');
  const path = descendantsOf(container, 'rootfile')[0]?.attributes['full-path'] ?? '';
  const book = await treeOf(file, resolvePath('', path));
  if (book === undefined) throw broken(file.name, 'its list of chapters is missing');
  await refuseCopyProtection(file);
  const folder = path.includes('/') ? path.slice(0, path.lastIndexOf('/') + 1) : '';
  const writer = createMarkdownWriter(file);
  for (const part of chaptersOf(book, folder)) {
    const entry = file.archive.find(part);
    if (entry === undefined) continue;
    if (entry.size > LONGEST_CHAPTER_BYTES) throw tooLong({ ...file, maxCharacters: LONGEST_CHAPTER_BYTES });
    writer.paragraph(loadChapter(new TextDecoder().decode(await file.archive.read(entry))));
  }
  const title = titleText(oneLine(textOf(childOf(childOf(book, 'metadata'), 'title'))));
  return { title, text: writer.finish().text, layout: 'markdown' };
}

function chaptersOf(book: XmlElement, folder: string): readonly string[] {
  const items = new Map(
    childrenOf(childOf(book, 'manifest'), 'item').map(({ attributes }) => [attributes['id'] ?? '', attributes]),
  );
  return childrenOf(childOf(book, 'spine'), 'itemref').flatMap(({ attributes }) => {
    const item = items.get(attributes['idref'] ?? '');
    const isChapter = /html|xml$/.test(item?.['media-type'] ?? '') && !/\bnav\b/.test(item?.['properties'] ?? '');
    return item === undefined || !isChapter ? [] : [resolvePath(folder, decodePath(item['href'] ?? ''))];
  });
}

function decodePath(href: string): string {
  try {
    return decodeURIComponent(href.split('#', 1)[0] ?? '');
  } catch {
    return href;
  }
}

async function refuseCopyProtection(file: PackedFile): Promise<void> {
  const encryption = await treeOf(file, 'META-INF/encryption.xml');
  const parts = descendantsOf(encryption, 'CipherReference').map(({ attributes }) => attributes['URI'] ?? '');
  if (parts.some((part) => !FONT.test(part))) throw passwordProtected(file.name);
}
