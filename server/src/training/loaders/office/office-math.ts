import { childOf, childrenOf, textOf, type XmlElement, type XmlNode } from './xml-reader.ts';

/** The invisible sign between the name of a function and what it is of. */
const FUNCTION_APPLICATION = '\u2061';

/** The text of an Office equation (OMML) on one line: `x^2`, `(a+b)/c`, `√(x)`. */
export function mathText(element: XmlElement): string {
  const part = (name: string): string => contentOf(childOf(element, name));
  switch (element.name) {
    case 't':
      return textOf(element).replaceAll(FUNCTION_APPLICATION, ' ');
    case 'f':
      return `${grouped(part('num'))}/${grouped(part('den'))}`;
    case 'sSup':
      return `${grouped(part('e'))}^${grouped(part('sup'))}`;
    case 'sSub':
      return `${grouped(part('e'))}_${grouped(part('sub'))}`;
    case 'sSubSup':
      return `${grouped(part('e'))}_${grouped(part('sub'))}^${grouped(part('sup'))}`;
    case 'rad':
      return `${part('deg')}√${bracketed(part('e'))}`;
    case 'd':
      return delimited(element);
    case 'nary':
      return `${propertyOf(element, 'naryPr', 'chr') ?? '∫'}${limits(part('sub'), part('sup'))} ${part('e')}`;
    case 'func':
      return `${part('fName')} ${part('e')}`;
    case 'eqArr':
    case 'm':
      return childrenOf(element)
        .filter(({ name }) => name === 'e' || name === 'mr')
        .map(contentOf)
        .join('; ');
    case 'mr':
      return childrenOf(element, 'e').map(contentOf).join(', ');
    case 'rPr':
    case 'ctrlPr':
    case 'instrText':
      return '';
    default:
      return contentOf(element);
  }
}

function contentOf(element: XmlElement | undefined): string {
  return (element?.children ?? []).map(nodeText).join('');
}

/** Blanks between elements are layout of the XML. */
function nodeText(node: XmlNode): string {
  return typeof node === 'string' ? '' : mathText(node);
}

function delimited(element: XmlElement): string {
  const opening = propertyOf(element, 'dPr', 'begChr') ?? '(';
  const closing = propertyOf(element, 'dPr', 'endChr') ?? ')';
  const separator = propertyOf(element, 'dPr', 'sepChr') ?? '|';
  return opening + childrenOf(element, 'e').map(contentOf).join(separator) + closing;
}

function propertyOf(element: XmlElement, properties: string, name: string): string | undefined {
  const property = childOf(childOf(element, properties), name);
  return property === undefined ? undefined : (property.attributes['val'] ?? '');
}

function limits(lower: string, upper: string): string {
  return (lower === '' ? '' : `_${grouped(lower)}`) + (upper === '' ? '' : `^${grouped(upper)}`);
}

function grouped(group: string): string {
  const text = group.trim();
  return /^[\p{L}\p{N}.]*$/u.test(text) ? text : bracketed(text);
}

function bracketed(text: string): string {
  return /^\([^()]*\)$/.test(text) ? text : `(${text})`;
}
