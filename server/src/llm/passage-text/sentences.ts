/** A part of a text by UTF-16 offsets, end exclusive. */
export interface TextSpan {
  readonly start: number;
  readonly end: number;
}

/** A mark that may end a sentence, with the quotes, brackets and emphasis that close after it. */
const SENTENCE_END = /(?<![.!?…])[.!?…]+["'”’»)\]*_]*(?=\s)|[。！？]+["'”’」』）]*/gu;
/** What the next sentence may begin with; a lower-case letter means that the mark was inside one. */
const SENTENCE_START = /^\s+["'“‘«([{*_`<#]*(?:[\p{Lu}\p{Lt}\p{Lo}\p{N}\p{S}-]|$)/u;
const ABBREVIATION =
  /(?:^|[\s("'“‘[*_])(?:e\.g|i\.e|a\.k\.a|cf|vs|etc|approx|incl|resp|no|nos|fig|figs|eq|sec|ch|vol|pp?|ed|eds|al|mr|mrs|ms|dr|prof|sr|jr|st|inc|ltd|co|corp|dept|govt|est|ext|tel|max|min|avg|misc|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec|[a-z]|(?:[a-z]\.)+[a-z])\.$/iu;
/** Abbreviations after which a sentence often ends all the same, when the next word looks like a start. */
const MAY_END = /(?:\b(?:etc|[Ii]nc|[Ll]td|[Cc]o|[Cc]orp)|(?:[A-Z]\.)+[A-Z])\.$/u;
const LONGEST_SENTENCE = 700;

/**
 * The sentences of one paragraph, each without the white space around it. Lines broken inside a sentence are joined;
 * dots in abbreviations, initials, numbers and addresses do not end one. Text without an end mark is cut at line breaks
 * once it is longer than 700 characters.
 */
export function splitSentences(text: string, paragraph: TextSpan): TextSpan[] {
  const content = text.slice(paragraph.start, paragraph.end);
  const spans: TextSpan[] = [];
  let from = 0;
  for (const end of sentenceEnds(content)) {
    pushTrimmed(spans, content, { start: from, end });
    from = end;
  }
  pushTrimmed(spans, content, { start: from, end: content.length });
  return spans.map((span) => ({ start: span.start + paragraph.start, end: span.end + paragraph.start }));
}

function sentenceEnds(content: string): number[] {
  const ends: number[] = [];
  for (const match of content.matchAll(SENTENCE_END)) {
    const end = match.index + match[0].length;
    if (/^[。！？]/u.test(match[0]) || endsSentence(content, match.index, end)) ends.push(end);
  }
  return ends;
}

function endsSentence(content: string, mark: number, end: number): boolean {
  const rest = content.slice(end, end + 40);
  if (!SENTENCE_START.test(rest)) return false;
  if (content[mark] !== '.') return true;
  const before = content.slice(Math.max(0, mark - 24), mark + 1);
  return !ABBREVIATION.test(before) || (MAY_END.test(before) && /^\s+\p{Lu}\p{Ll}/u.test(rest));
}

function pushTrimmed(spans: TextSpan[], content: string, span: TextSpan): void {
  const piece = content.slice(span.start, span.end);
  const start = span.start + (piece.length - piece.trimStart().length);
  const end = start + piece.trim().length;
  if (end === start) return;
  if (end - start <= LONGEST_SENTENCE) spans.push({ start, end });
  else pushLines(spans, content, { start, end });
}

function pushLines(spans: TextSpan[], content: string, span: TextSpan): void {
  let from = span.start;
  while (span.end - from > LONGEST_SENTENCE) {
    const lineBreak = content.lastIndexOf('\n', from + LONGEST_SENTENCE);
    const space = content.lastIndexOf(' ', from + LONGEST_SENTENCE);
    const cut = lineBreak > from ? lineBreak : space > from ? space : from + LONGEST_SENTENCE;
    if (content.slice(from, cut).trim() !== '') spans.push(trimmedWithin(content, from, cut));
    from = cut;
  }
  if (content.slice(from, span.end).trim() !== '') spans.push(trimmedWithin(content, from, span.end));
}

function trimmedWithin(content: string, start: number, end: number): TextSpan {
  const piece = content.slice(start, end);
  const from = start + (piece.length - piece.trimStart().length);
  return { start: from, end: from + piece.trim().length };
}
