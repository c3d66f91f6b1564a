import type { PageText } from './pdf-furniture.ts';
import type { DocumentStyle } from './pdf-paragraphs.ts';

const MOST_WORDS = 200_000;
const WORD = /[\p{L}\p{N}]+(?:-[\p{L}\p{N}]+)*(?!-$)/gu;

/** Learns from the pages, as they are read, what the document's text looks like and which words it uses. */
export function createStyle(): DocumentStyle & { observe(page: PageText): void } {
  const sizes = new Map<number, number>();
  const fonts = new Map<string | null, number>();
  const words = new Set<string>();
  return {
    get bodySize() {
      return mostFrequent(sizes) ?? 10;
    },
    get bodyFont() {
      return mostFrequent(fonts) ?? null;
    },
    hasWord: (word) => words.has(word),
    observe({ segments }) {
      for (const { text, size, font } of segments) {
        const rounded = Math.round(size * 2) / 2;
        sizes.set(rounded, (sizes.get(rounded) ?? 0) + text.length);
        fonts.set(font, (fonts.get(font) ?? 0) + text.length);
        if (words.size > MOST_WORDS) continue;
        for (const match of text.matchAll(WORD)) {
          // A lower-case word that begins a line may be the rest of one that was cut.
          if (match.index > 0 || /^\p{Lu}/u.test(match[0])) words.add(match[0].toLowerCase());
        }
      }
    },
  };
}

function mostFrequent<Key>(counts: ReadonlyMap<Key, number>): Key | undefined {
  let best: { key: Key; count: number } | undefined;
  for (const [key, count] of counts) if (count > (best?.count ?? 0)) best = { key, count };
  return best?.key;
}
