import type { TokenCounter } from '../../llm/index.ts';

/** More says little about what to look for or to remember, and every step after costs time by its length. */
const OPENING_CHARACTERS = 2000;
const SENTENCE_END = /[.!?。！？][)\]"'’”]*(?=\s|$)|\n/gu;

/** The opening of a message: as much of it as is searched by, carried into follow-up questions and summarised. */
export function openingOf(message: string): string {
  if (message.length <= OPENING_CHARACTERS) return message;
  const last = message.charCodeAt(OPENING_CHARACTERS - 1);
  const splitsPair = last >= 0xd800 && last <= 0xdbff;
  return message.slice(0, splitsPair ? OPENING_CHARACTERS - 1 : OPENING_CHARACTERS);
}

/** The longest beginning of the text within `maxTokens` that ends with a sentence, else with a word; may be empty. */
export function cutToFit(text: string, maxTokens: number, counter: TokenCounter): string {
  if (counter.count(text) <= maxTokens) return text;
  const fits = (end: number): boolean => counter.count(text.slice(0, end)) <= maxTokens;
  const sentenceEnds = [...text.matchAll(SENTENCE_END)].map((match) => match.index + match[0].length);
  const wordEnds = [...text.matchAll(/\S(?=\s)/gu)].map((match) => match.index + match[0].length);
  const end = lastThat(sentenceEnds, fits) ?? lastThat(wordEnds, fits) ?? 0;
  return text.slice(0, end);
}

/** The last of ascending numbers for which the test holds, when it holds for all before one and none after. */
function lastThat(numbers: readonly number[], holds: (number: number) => boolean): number | null {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(numbers[middle] ?? 0)) low = middle + 1;
    else high = middle;
  }
  return numbers[low - 1] ?? null;
}
