import type { LoadedText } from '../loaded-text.ts';
import { createMarkdownWriter, type MarkdownWriter, oneLine } from './markdown-writer.ts';
import { readChart } from './office-chart.ts';
import { linked } from './office-links.ts';
import { mathText } from './office-math.ts';
import {
  mainPartOf,
  type PackedFile,
  partOfType,
  propertyTitle,
  type Relationship,
  relationshipsOf,
  titleText,
  treeOf,
} from './office-package.ts';
import { childOf, childrenOf, descendantsOf, type XmlElement } from './xml-reader.ts';

interface Slide {
  readonly file: PackedFile;
  readonly links: ReadonlyMap<string, Relationship>;
  readonly writer: MarkdownWriter;
}

/** Placeholders that repeat on every slide. */
const UNREAD_PLACEHOLDERS = new Set(['dt', 'ftr', 'sldNum', 'hdr', 'sldImg']);

/**
 * Reads a PowerPoint presentation (ECMA-376 PresentationML): each slide that is shown, in its order, as a section with
 * its title, bullets, tables, the figures of its charts and the speaker's notes; `pageStarts` are the slides. Hidden
 * slides are left out, and keep their numbers.
 *
 * @throws AppError `parse_failed`, `content_too_large`, `unpack_limit_exceeded`, `password_protected`.
 */
export async function loadPptx(file: PackedFile): Promise<LoadedText> {
  const part = await mainPartOf(file);
  const links = await relationshipsOf(file, part);
  const root = await treeOf(file, part);
  const writer = createMarkdownWriter(file);
  let title: string | null = null;
  for (const [position, { attributes }] of childrenOf(childOf(root, 'sldIdLst'), 'sldId').entries()) {
    writer.page();
    const slidePart = links.get(attributes['r:id'] ?? '')?.target;
    const slide = await treeOf(file, slidePart);
    if (slidePart === undefined || slide === undefined || ['0', 'false'].includes(slide.attributes['show'] ?? ''))
      continue;
    const own = await relationshipsOf(file, slidePart);
    const heading = await writeSlide(slide, { file, links: own, writer }, position + 1);
    if (position === 0) title = titleText(heading);
    await writeNotes(await treeOf(file, partOfType(own, 'notesSlide')), { file, links: own, writer });
  }
  return { title: title ?? (await propertyTitle(file)), ...writer.finish(), layout: 'markdown' };
}

/** Gives the slide's own title; empty when it has none. */
async function writeSlide(slide: XmlElement, context: Slide, number: number): Promise<string> {
  const shapes = shapesOf(childOf(childOf(slide, 'cSld'), 'spTree'));
  const titles = shapes.filter((shape) => /^(?:title|ctrTitle)$/.test(placeholderOf(shape) ?? ''));
  const title = titles
    .map((shape) => oneLine(bodyTexts(shape, context).join(' ')))
    .join(' ')
    .trim();
  context.writer.heading(2, title === '' ? `Slide ${number}` : title);
  for (const shape of shapes) if (!titles.includes(shape)) await writeShape(shape, context);
  return title;
}

/** Shapes in their order, groups opened. */
function shapesOf(tree: XmlElement | undefined): readonly XmlElement[] {
  return childrenOf(tree).flatMap((child) => {
    if (child.name === 'sp' || child.name === 'graphicFrame') return [child];
    if (child.name === 'grpSp') return shapesOf(child);
    return child.name === 'AlternateContent' ? shapesOf(childOf(child, 'Choice')) : [];
  });
}

/** Type of placeholder that a shape fills; `body` when it does not say, null when it fills none. */
function placeholderOf(shape: XmlElement): string | null {
  const properties = childOf(childOf(shape, 'nvSpPr'), 'nvPr');
  const placeholder = childOf(properties, 'ph');
  return placeholder === undefined ? null : (placeholder.attributes['type'] ?? 'body');
}

async function writeShape(shape: XmlElement, context: Slide): Promise<void> {
  if (shape.name === 'graphicFrame') {
    await writeGraphic(shape, context);
    return;
  }
  const placeholder = placeholderOf(shape);
  if (!UNREAD_PLACEHOLDERS.has(placeholder ?? '')) writeText(shape, context, placeholder === 'body');
}

function writeText(shape: XmlElement, context: Slide, isBulleted: boolean): void {
  const paragraphs = childrenOf(childOf(shape, 'txBody'), 'p');
  const texts = paragraphs.map((paragraph) => paragraphText(paragraph, context));
  // A single paragraph is no list.
  const isList = isBulleted && texts.filter((text) => text !== '').length > 1;
  for (const [position, paragraph] of paragraphs.entries()) {
    const text = texts[position] ?? '';
    const properties = childOf(paragraph, 'pPr');
    const hasBullet = childOf(properties, 'buChar') ?? childOf(properties, 'buAutoNum');
    const depth = Number(properties?.attributes['lvl'] ?? 0);
    const isItem = hasBullet !== undefined || (isList && childOf(properties, 'buNone') === undefined);
    if (isItem) context.writer.listItem('-', depth, text);
    else context.writer.paragraph(text);
  }
}

function bodyTexts(shape: XmlElement, context: Slide): readonly string[] {
  return childrenOf(childOf(shape, 'txBody'), 'p').map((paragraph) => paragraphText(paragraph, context));
}

function paragraphText(paragraph: XmlElement, context: Slide): string {
  return childrenOf(paragraph)
    .map((child) => inlineText(child, context))
    .join('')
    .trim();
}

function inlineText(element: XmlElement, context: Slide): string {
  switch (element.name) {
    case 'r':
    case 'fld': {
      const text = childrenOf(element, 't')
        .map((child) => child.children.join(''))
        .join('');
      const link = childOf(childOf(element, 'rPr'), 'hlinkClick')?.attributes['r:id'];
      return linked(text, context.links.get(link ?? ''));
    }
    case 'br':
      return '\n';
    case 'AlternateContent':
      return paragraphText(childOf(element, 'Choice') ?? { ...element, children: [] }, context);
    case 'm':
    case 'oMath':
    case 'oMathPara':
      return ` ${mathText(element)} `;
    default:
      return '';
  }
}

async function writeGraphic(frame: XmlElement, context: Slide): Promise<void> {
  const { file, links, writer } = context;
  for (const table of descendantsOf(frame, 'tbl')) writer.table(gridOf(table, context));
  for (const chart of descendantsOf(frame, 'chart')) {
    const { title, rows } = await readChart(file, links.get(chart.attributes['r:id'] ?? '')?.target);
    writer.paragraph(title);
    writer.table(rows);
  }
  for (const diagram of descendantsOf(frame, 'relIds')) {
    const data = await treeOf(file, links.get(diagram.attributes['r:dm'] ?? '')?.target);
    for (const body of descendantsOf(data, 't')) {
      const texts = childrenOf(body, 'p').map((paragraph) => paragraphText(paragraph, context));
      writer.listItem('-', 0, texts.join(' '));
    }
  }
}

/** Cells that are merged downwards repeat their text in each row, those merged across stand in the first column. */
function gridOf(table: XmlElement, context: Slide): readonly (readonly string[])[] {
  let above: readonly string[] = [];
  return childrenOf(table, 'tr').map((row) => {
    above = childrenOf(row, 'tc').map((cell, column) => {
      if (isSet(cell, 'vMerge')) return above[column] ?? '';
      return isSet(cell, 'hMerge') ? '' : bodyTexts(cell, context).join(' ');
    });
    return above;
  });
}

function isSet({ attributes }: XmlElement, name: string): boolean {
  return ['1', 'true'].includes(attributes[name] ?? '');
}

async function writeNotes(notes: XmlElement | undefined, context: Slide): Promise<void> {
  const shapes = shapesOf(childOf(childOf(notes, 'cSld'), 'spTree'));
  const texts = shapes
    .filter((shape) => placeholderOf(shape) === 'body')
    .flatMap((shape) => bodyTexts(shape, context))
    .filter((text) => text !== '');
  const [first, ...more] = texts;
  if (first === undefined) return;
  context.writer.paragraph(`Notes: ${first}`);
  for (const text of more) context.writer.paragraph(text);
}
