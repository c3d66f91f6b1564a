import { type PackedFile, streamPart } from './office-package.ts';
import { childOf, type XmlElement } from './xml-reader.ts';

/** What a paragraph is by its style. */
export interface ParagraphStyle {
  /** Lower case, in English whatever the language of the program. */
  readonly name: string;
  /** 1..9; null for what is no heading. */
  readonly headingLevel: number | null;
  readonly numbering: NumberingReference | null;
  /** Hidden from readers. */
  readonly isHidden: boolean;
}

export interface NumberingReference {
  readonly id: string | null;
  readonly level: number | null;
}

const NO_STYLE: ParagraphStyle = { name: '', headingLevel: null, numbering: null, isHidden: false };
const LONGEST_CHAIN = 32;

/** Paragraph and character styles by their ids, with what they take over from those they are based on. */
export async function readStyles(
  file: PackedFile,
  part: string | undefined,
): Promise<(id: string | undefined) => ParagraphStyle> {
  const elements = new Map<string, XmlElement>();
  let usual: string | undefined;
  await streamPart(file, part, {
    isUnit: (name) => name === 'style',
    onUnit(style) {
      const id = style.attributes['styleId'] ?? '';
      elements.set(id, style);
      const { type, default: isDefault } = style.attributes;
      if (type === 'paragraph' && (isDefault === '1' || isDefault === 'true')) usual = id;
    },
  });
  const styles = new Map<string, ParagraphStyle>();
  const styleOf = (id: string | undefined, depth = 0): ParagraphStyle => {
    const element = id === undefined ? undefined : elements.get(id);
    if (id === undefined || element === undefined || depth > LONGEST_CHAIN) return NO_STYLE;
    const known = styles.get(id);
    if (known !== undefined) return known;
    const style = withOwn(styleOf(childOf(element, 'basedOn')?.attributes['val'], depth + 1), element);
    styles.set(id, style);
    return style;
  };
  return (id) => styleOf(id ?? usual);
}

function withOwn(base: ParagraphStyle, element: XmlElement): ParagraphStyle {
  const properties = childOf(element, 'pPr');
  const name = childOf(element, 'name')?.attributes['val']?.toLowerCase() ?? '';
  const numbering = numberingOf(properties);
  return {
    name,
    headingLevel: headingLevelOf(name, properties) ?? base.headingLevel,
    numbering:
      numbering === null
        ? base.numbering
        : { id: numbering.id ?? base.numbering?.id ?? null, level: numbering.level ?? base.numbering?.level ?? null },
    isHidden: isOn(childOf(childOf(element, 'rPr'), 'vanish')) ?? base.isHidden,
  };
}

function headingLevelOf(styleName: string, properties: XmlElement | undefined): number | null {
  const named = /^heading ([1-9])$/.exec(styleName)?.[1];
  return named === undefined ? outlineLevelOf(properties) : Number(named);
}

/** Level of a paragraph that is a heading by its own outline level, 1..9. */
export function outlineLevelOf(properties: XmlElement | undefined): number | null {
  const level = Number(childOf(properties, 'outlineLvl')?.attributes['val'] ?? Number.NaN);
  return level >= 0 && level <= 8 ? level + 1 : null;
}

export function numberingOf(properties: XmlElement | undefined): NumberingReference | null {
  const numbering = childOf(properties, 'numPr');
  if (numbering === undefined) return null;
  const level = childOf(numbering, 'ilvl')?.attributes['val'];
  return {
    id: childOf(numbering, 'numId')?.attributes['val'] ?? null,
    level: level === undefined ? null : Number(level),
  };
}

/** Whether a property that is either on or off is on; null when it is not there. */
export function isOn(property: XmlElement | undefined): boolean | null {
  if (property === undefined) return null;
  return !['0', 'false', 'off'].includes(property.attributes['val'] ?? '');
}
