import type { NumberingReference } from './docx-styles.ts';
import { type PackedFile, streamPart } from './office-package.ts';
import { childOf, childrenOf, type XmlElement } from './xml-reader.ts';

/** How a paragraph of a list is marked. */
export interface ListMark {
  /** "-" for bullets, else the number as it is printed: "1.", "2.1", "(a)". */
  readonly marker: string;
  /** 0 is the outermost level. */
  readonly depth: number;
}

/** Numbers the paragraphs of a document, called once for each in their order; null for those without a mark. */
export type NumberParagraph = (reference: NumberingReference) => ListMark | null;

interface Level {
  readonly format: string;
  readonly text: string;
  readonly start: number;
}

interface List {
  /** Numbering instances of the same abstract one go on counting together. */
  readonly counter: string;
  readonly levels: ReadonlyMap<number, Level>;
}

const DEEPEST = 8;

export async function readNumbering(file: PackedFile, part: string | undefined): Promise<NumberParagraph> {
  const lists = await readLists(file, part);
  const counters = new Map<string, (number | undefined)[]>();
  return ({ id, level }) => {
    const list = id === null ? undefined : lists.get(id);
    const depth = Math.min(DEEPEST, Math.max(0, level ?? 0));
    const shape = list?.levels.get(depth);
    if (list === undefined || shape === undefined) return null;
    if (shape.format === 'bullet') return { marker: '-', depth };
    const counts = counters.get(list.counter) ?? [];
    counters.set(list.counter, counts);
    counts[depth] = (counts[depth] ?? shape.start - 1) + 1;
    counts.length = depth + 1;
    const marker = shape.format === 'none' ? '' : numberText(list, shape, counts);
    return marker === '' ? null : { marker, depth };
  };
}

function numberText({ levels }: List, { text }: Level, counts: readonly (number | undefined)[]): string {
  const number = text.replace(/%([1-9])/g, (_, digit: string) => {
    const level = levels.get(Number(digit) - 1);
    return formatNumber(counts[Number(digit) - 1] ?? level?.start ?? 1, level?.format ?? 'decimal');
  });
  return number.trim().slice(0, 40);
}

async function readLists(file: PackedFile, part: string | undefined): Promise<ReadonlyMap<string, List>> {
  const abstracts = new Map<string, XmlElement>();
  const instances = new Map<string, XmlElement>();
  await streamPart(file, part, {
    isUnit: (name) => name === 'abstractNum' || name === 'num',
    onUnit(unit) {
      if (unit.name === 'num') instances.set(unit.attributes['numId'] ?? '', unit);
      else abstracts.set(unit.attributes['abstractNumId'] ?? '', unit);
    },
  });
  const byStyle = new Map<string, XmlElement>();
  for (const abstract of abstracts.values()) {
    const style = childOf(abstract, 'styleLink')?.attributes['val'];
    if (style !== undefined) byStyle.set(style, abstract);
  }
  const lists = new Map<string, List>();
  for (const [id, instance] of instances) {
    const abstractId = childOf(instance, 'abstractNumId')?.attributes['val'] ?? '';
    const own = abstracts.get(abstractId);
    const linked = byStyle.get(childOf(own, 'numStyleLink')?.attributes['val'] ?? '');
    const overrides = childrenOf(instance, 'lvlOverride');
    const levels = new Map(childrenOf(linked ?? own, 'lvl').map(levelOf));
    for (const override of overrides) applyOverride(levels, override);
    lists.set(id, { counter: overrides.length > 0 ? `own ${id}` : abstractId, levels });
  }
  return lists;
}

function levelOf(element: XmlElement): [number, Level] {
  const value = (name: string): string | undefined => childOf(element, name)?.attributes['val'];
  const level = {
    format: value('numFmt') ?? 'decimal',
    text: value('lvlText') ?? '',
    start: Number(value('start') ?? 1),
  };
  return [Number(element.attributes['ilvl'] ?? 0), level];
}

function applyOverride(levels: Map<number, Level>, override: XmlElement): void {
  const depth = Number(override.attributes['ilvl'] ?? 0);
  const replaced = childOf(override, 'lvl');
  if (replaced !== undefined) levels.set(depth, levelOf(replaced)[1]);
  const start = childOf(override, 'startOverride')?.attributes['val'];
  const level = levels.get(depth);
  if (start !== undefined && level !== undefined) levels.set(depth, { ...level, start: Number(start) });
}

const ROMAN: readonly (readonly [number, string])[] = [
  [1000, 'm'],
  [900, 'cm'],
  [500, 'd'],
  [400, 'cd'],
  [100, 'c'],
  [90, 'xc'],
  [50, 'l'],
  [40, 'xl'],
  [10, 'x'],
  [9, 'ix'],
  [5, 'v'],
  [4, 'iv'],
  [1, 'i'],
];

function formatNumber(value: number, format: string): string {
  switch (format) {
    case 'lowerLetter':
      return letters(value);
    case 'upperLetter':
      return letters(value).toUpperCase();
    case 'lowerRoman':
      return roman(value);
    case 'upperRoman':
      return roman(value).toUpperCase();
    case 'decimalZero':
      return String(value).padStart(2, '0');
    default:
      return String(value);
  }
}

/** a, b, ..., z, aa, bb, ... */
function letters(value: number): string {
  if (value < 1 || value > 260) return String(value);
  return String.fromCharCode(97 + ((value - 1) % 26)).repeat(Math.ceil(value / 26));
}

function roman(value: number): string {
  if (value < 1 || value > 3_999) return String(value);
  let rest = value;
  let numeral = '';
  for (const [size, digits] of ROMAN) {
    while (rest >= size) {
      numeral += digits;
      rest -= size;
    }
  }
  return numeral;
}
