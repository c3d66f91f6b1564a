import type { EmbedderProfile } from './ports.ts';

export interface WindowSource {
  readonly title: string;
  readonly headingPath: readonly string[];
  readonly text: string;
}

/**
 * The texts to embed for a chunk: overlapping windows of its words, each with the title and the headings in front, so
 * that a window in mid-section still says what it is about. Without a window shape the whole chunk is one text. A chunk
 * without words gives one text of its headings.
 */
export function windowsOf(source: WindowSource, window: EmbedderProfile['window']): string[] {
  const lead = leadOf(source);
  if (window === null) return [lead + source.text];
  const words = [...source.text.matchAll(/\S+/g)].map(({ 0: word, index }) => ({
    start: index,
    end: index + word.length,
  }));
  const texts: string[] = [];
  for (let first = 0; ; first += window.step) {
    const inside = words.slice(first, first + window.words);
    texts.push(lead + source.text.slice(inside[0]?.start ?? 0, inside.at(-1)?.end ?? 0));
    if (first + window.words >= words.length) return texts;
  }
}

function leadOf({ title, headingPath }: WindowSource): string {
  const parts = [title, ...headingPath].map((part) => part.trim()).filter((part) => part !== '');
  const distinct = parts.filter((part, position) => part !== parts[position - 1]);
  return distinct.map((part) => `${part}\n`).join('');
}
