import { contentTerms, plainText, splitStatements } from '../../llm/index.ts';

/** What an answer says and rests on one passage. */
export interface Claim {
  /** The number in the marker. */
  readonly index: number;
  /** The sentences in front of the marker, back to the marker before, without Markdown; the nearest one last. */
  readonly sentences: readonly ClaimSentence[];
}

export interface ClaimSentence {
  readonly text: string;
  readonly terms: ReadonlySet<string>;
}

const MARKERS = /\[\d+\](?:[ \t]*\[\d+\])*/gu;

/** Reads the claims of a finished answer whose markers have the form `[n]` or `[n][m]`, in order. */
export function readClaims(answer: string): Claim[] {
  const claims: Claim[] = [];
  let from = 0;
  for (const match of answer.matchAll(MARKERS)) {
    const before = sentencesOf(answer.slice(from, match.index));
    const end = match.index + match[0].length;
    const sentences = before.length > 0 ? before : sentencesAfter(answer.slice(end));
    for (const [, number] of match[0].matchAll(/\[(\d+)\]/gu)) claims.push({ index: Number(number), sentences });
    from = end;
  }
  return claims;
}

function sentencesOf(text: string): ClaimSentence[] {
  return splitStatements(text)
    .map(({ start, end }) => plainText(text.slice(start, end)))
    .map((sentence) => ({ text: sentence, terms: new Set(contentTerms(sentence)) }))
    .filter(({ terms }) => terms.size > 0);
}

/** For a marker that stands in front of what it belongs to ("[1] says ..."). */
function sentencesAfter(text: string): ClaimSentence[] {
  const next = text.slice(0, text.search(/\[\d+\]|\n\s*\n|$/u));
  return sentencesOf(next).slice(0, 1);
}
