import type { LoadedText } from './loaded-text.ts';

/** Longer texts become several documents, so that no document is too much for one transaction, message or look. */
export const LONGEST_TEXT = 1_500_000;
const STRETCH = 1_000_000;

/** Best first: what a stretch may end before. A cut is sought in the second half of it. */
const BORDERS = ['\n# ', '\n## ', '\n\n', '\n\r\n', '\n', '\r', ' '] as const;

/** The best place to end a stretch in the second half of `text`: before a section, a paragraph, a line, a word, else its end. */
export function borderIn(text: string): number {
  const half = text.length >> 1;
  for (const border of BORDERS) {
    const found = text.lastIndexOf(border);
    if (found >= half) return border === ' ' || border === '\r' ? found + 1 : found + border.lastIndexOf('\n') + 1;
  }
  return text.length;
}

/** Cuts a text that is too long for one document; one that is not is given as it is. Linear in its length. */
export function intoStretches<Text extends LoadedText>(loaded: Text): readonly Text[] {
  const { text } = loaded;
  if (text.length <= LONGEST_TEXT) return [loaded];
  const stretches: Text[] = [];
  for (let start = 0; start < text.length; ) {
    const end = endOfStretch(loaded, start);
    const stretch = stretchOf(loaded, start, end);
    if (stretch.text !== '') stretches.push(stretch);
    start = end;
  }
  return stretches;
}

function endOfStretch({ text, sections }: LoadedText, start: number): number {
  if (text.length - start <= LONGEST_TEXT) return text.length;
  const limit = start + STRETCH;
  const ofSection = sections?.findLast(({ end }) => end <= limit)?.end ?? 0;
  if (ofSection > start) return ofSection;
  const end = start + borderIn(text.slice(start, limit));
  return isLowSurrogate(text.charCodeAt(end)) ? end - 1 : end;
}

function isLowSurrogate(code: number): boolean {
  return code >= 0xdc00 && code <= 0xdfff;
}

function stretchOf<Text extends LoadedText>(loaded: Text, start: number, end: number): Text {
  const { pageStarts, sections } = loaded;
  const raw = loaded.text.slice(start, end);
  const first = start + (raw.length - raw.trimStart().length);
  const text = raw.trim();
  const within = (offset: number): number => Math.min(Math.max(0, offset - first), text.length);
  return {
    ...loaded,
    text,
    // Pages before the stretch begin at its start too, so that the others keep their numbers.
    ...(pageStarts === undefined ? {} : { pageStarts: pageStarts.map(within) }),
    ...(sections === undefined
      ? {}
      : {
          sections: sections
            .map((section) => ({ ...section, start: within(section.start), end: within(section.end) }))
            .filter((section) => section.end > section.start),
        }),
  };
}
