import { childrenOf, type XmlElement } from './xml-reader.ts';

/** What the styles of an OpenDocument file say about its structure. */
export interface DocumentStyles {
  /** Takes in a `style` or `list-style` element. */
  add(style: XmlElement): void;
  /** The name of the style or one it is based on, out of the given ones. */
  nameAmong(style: string | undefined, names: ReadonlySet<string>): string | null;
  isHidden(style: string | undefined): boolean;
  /** The first number and the suffix of a level (0 is the outermost) of a numbered list; null for bullets. */
  numberOf(listStyle: string, level: number): { readonly start: number; readonly suffix: string } | null;
}

const LONGEST_CHAIN = 32;

export function createDocumentStyles(): DocumentStyles {
  const parents = new Map<string, string | undefined>();
  const hidden = new Set<string>();
  const lists = new Map<string, readonly XmlElement[]>();
  return {
    add(style) {
      const { name = '', 'parent-style-name': parent } = style.attributes;
      if (style.name === 'list-style') lists.set(name, childrenOf(style));
      else {
        parents.set(name, parent);
        if (childrenOf(style).some(isHiding)) hidden.add(name);
      }
    },
    nameAmong(style, names) {
      let name = style;
      for (let steps = 0; name !== undefined && steps < LONGEST_CHAIN; steps += 1) {
        if (names.has(name)) return name;
        name = parents.get(name);
      }
      return null;
    },
    isHidden: (style) => style !== undefined && hidden.has(style),
    numberOf(listStyle, level) {
      const shape = lists.get(listStyle)?.find(({ attributes }) => attributes['level'] === String(level + 1));
      if (shape?.name !== 'list-level-style-number' || (shape.attributes['num-format'] ?? '') === '') return null;
      return { start: Number(shape.attributes['start-value'] ?? 1), suffix: shape.attributes['num-suffix'] || '.' };
    },
  };
}

function isHiding({ attributes }: XmlElement): boolean {
  return ['none', 'false'].includes(attributes['display'] ?? '') || attributes['visibility'] === 'hidden';
}
