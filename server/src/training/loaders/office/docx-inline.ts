import { isOn, type ParagraphStyle } from './docx-styles.ts';
import { linked } from './office-links.ts';
import { mathText } from './office-math.ts';
import type { Relationship } from './office-package.ts';
import { childOf, childrenOf, type XmlElement } from './xml-reader.ts';

/** What the text of a paragraph depends on. */
export interface InlineContext {
  readonly styleOf: (id: string | undefined) => ParagraphStyle;
  readonly links: ReadonlyMap<string, Relationship>;
  /** Gives a footnote or endnote its number; null when there is no such note. */
  noteNumber(kind: 'footnote' | 'endnote', id: string): number | null;
}

export interface InlineText {
  readonly text: string;
  /** Contents of the text boxes that are anchored in it. */
  readonly boxes: readonly XmlElement[];
}

/** Properties, deletions, comments, instructions of fields, and the second copy of what is drawn. */
const UNREAD = new Set([
  'pPr',
  'rPr',
  'del',
  'moveFrom',
  'delText',
  'instrText',
  'delInstrText',
  'Fallback',
  'sdtPr',
  'rt',
  'binData',
]);
/** Symbol fonts draw their signs at these code points, which mean nothing elsewhere. */
const PRIVATE_USE = /[\uE000-\uF8FF]/g;

/** The text of a paragraph as its reader sees it: without what is deleted or hidden, with notes as `[^1]`. */
export function inlineText(paragraph: XmlElement, context: InlineContext): InlineText {
  const boxes: XmlElement[] = [];
  const read = (element: XmlElement): string => {
    if (UNREAD.has(element.name)) return '';
    switch (element.name) {
      case 't':
        return element.children.filter((child): child is string => typeof child === 'string').join('');
      case 'r':
        return isHidden(element, context) ? '' : readChildren(element);
      case 'tab':
      case 'ptab':
        return ' ';
      case 'br':
      case 'cr':
        return '\n';
      case 'noBreakHyphen':
        return '-';
      case 'sym':
        return symbol(element);
      case 'hyperlink':
        return linked(readChildren(element), context.links.get(element.attributes['r:id'] ?? ''));
      case 'footnoteReference':
        return noteMark(context.noteNumber('footnote', element.attributes['id'] ?? ''));
      case 'endnoteReference':
        return noteMark(context.noteNumber('endnote', element.attributes['id'] ?? ''));
      case 'oMath':
        return ` ${mathText(element)} `;
      case 'txbxContent':
        boxes.push(element);
        return '';
      default:
        return readChildren(element);
    }
  };
  const readChildren = (element: XmlElement): string => childrenOf(element).map(read).join('');
  const text = readChildren(paragraph).replace(PRIVATE_USE, '').replace(/ {2,}/g, ' ').trim();
  return { text, boxes };
}

function isHidden(run: XmlElement, { styleOf }: InlineContext): boolean {
  const properties = childOf(run, 'rPr');
  const own = isOn(childOf(properties, 'vanish'));
  if (own !== null) return own;
  const style = childOf(properties, 'rStyle')?.attributes['val'];
  return style !== undefined && styleOf(style).isHidden;
}

function symbol(element: XmlElement): string {
  const code = Number.parseInt(element.attributes['char'] ?? '', 16);
  return code > 0 && code <= 0x10_ff_ff ? String.fromCodePoint(code) : '';
}

function noteMark(number: number | null): string {
  return number === null ? '' : `[^${number}]`;
}
