import { contentTerms, plainText, type Statement, splitStatements } from '../../llm/index.ts';
import type { Citation } from '../../store/index.ts';
import { hitAt, openingOf, type PackedPassage } from '../context/index.ts';
import { type Claim, type ClaimSentence, readClaims } from './claims.ts';

export interface CitedAnswer {
  readonly question: string;
  /** The finished text; markers in the form `[n]`. */
  readonly answer: string;
  readonly passages: readonly PackedPassage[];
  /** Stored text by document id, as it is now. */
  readonly documentTexts: ReadonlyMap<string, string>;
}

interface Span {
  readonly start: number;
  readonly end: number;
}

interface Support extends Span {
  readonly strength: number;
}

interface Evidence {
  readonly statement: Statement;
  readonly text: string;
  readonly terms: ReadonlySet<string>;
}

/** A sentence further from the marker is quoted as well when it is supported this much. */
const FURTHER_SUPPORT = 0.6;
/** What decides between statements that support a claim equally well. */
const QUESTION_SHARE = 0.15;
const LONGEST_QUOTE = 1500;
/** Between two quotes that are one: nothing but white space, list markers and rules of tables. */
const ONLY_MARKS = /^(?:[\s>*+•.)|:-]|\d{1,3}[.)])*$/u;

/**
 * The citations of an answer: for each `[n]` the statements of passage n that support what stands before it, as exact
 * slices of the stored document. Each is checked against the stored text; what cannot be verified is left out.
 */
export function citeAnswer(cited: CitedAnswer): Citation[] {
  const claims = readClaims(cited.answer);
  const order = [...new Set(claims.map(({ index }) => index))];
  return order.flatMap((index) => {
    const passage = cited.passages.find((candidate) => candidate.index === index);
    if (passage === undefined) return [];
    const spans = supportOf(
      claims.filter((claim) => claim.index === index),
      passage,
      cited.question,
    );
    return joinNeighbours(spans, passage.text)
      .map((span) => toCitation(span, passage))
      .filter((citation) => isVerified(citation, cited.documentTexts));
  });
}

/** Whether the quote is exactly what the stored document holds at the offsets. */
export function isVerified(citation: Citation, documentTexts: ReadonlyMap<string, string>): boolean {
  const text = documentTexts.get(citation.documentId);
  return citation.quote !== '' && text?.slice(citation.start, citation.end) === citation.quote;
}

function supportOf(claims: readonly Claim[], passage: PackedPassage, question: string): Span[] {
  const evidence = readEvidence(passage.text);
  const asked = new Set(contentTerms(openingOf(question)));
  const spans: Span[] = [];
  for (const { sentences } of claims) {
    for (const [position, sentence] of sentences.entries()) {
      const support = bestSupport(sentence, evidence, asked);
      const isNearest = position === sentences.length - 1;
      if (support !== null && (isNearest || support.strength >= FURTHER_SUPPORT)) spans.push(support);
    }
  }
  return spans;
}

function readEvidence(passage: string): Evidence[] {
  return splitStatements(passage)
    .map((statement) => {
      const text = plainText(passage.slice(statement.start, statement.end));
      return { statement, text, terms: new Set(contentTerms(text)) };
    })
    .filter(({ text }) => text !== '');
}

/** The statement that says the same, word for word if there is one, else the one that shares most of its terms. */
function bestSupport(
  sentence: ClaimSentence,
  evidence: readonly Evidence[],
  asked: ReadonlySet<string>,
): Support | null {
  let best: Support | null = null;
  for (const { statement, text, terms } of evidence) {
    const overlap = overlapOf(sentence.terms, terms);
    if (overlap === 0) continue;
    const verbatim = sameWords(text, sentence.text) ? 1 : 0;
    const tieBreak = QUESTION_SHARE * overlapOf(asked, terms) - (statement.kind === 'heading' ? QUESTION_SHARE : 0);
    const strength = Math.max(verbatim, overlap) + verbatim + tieBreak;
    if (best === null || strength > best.strength) best = { start: statement.start, end: statement.end, strength };
  }
  return best;
}

/** Shared terms as the harmonic mean of both shares (Dice), leaning to how much of the claim is held. */
function overlapOf(claim: ReadonlySet<string>, statement: ReadonlySet<string>): number {
  if (claim.size === 0 || statement.size === 0) return 0;
  let shared = 0;
  for (const term of claim) if (statement.has(term)) shared += 1;
  const dice = (2 * shared) / (claim.size + statement.size);
  return 0.5 * dice + 0.5 * (shared / claim.size);
}

function sameWords(left: string, right: string): boolean {
  const bare = (text: string): string =>
    text
      .toLowerCase()
      .replace(/[^\p{L}\p{N}]+/gu, ' ')
      .trim();
  return bare(left) === bare(right);
}

/** Spans in document order, without repeats; those with nothing of substance between them become one quote. */
function joinNeighbours(spans: readonly Span[], passage: string): Span[] {
  const joined: Span[] = [];
  for (const span of spans.toSorted((a, b) => a.start - b.start || b.end - a.end)) {
    const last = joined.at(-1);
    if (last !== undefined && span.end <= last.end) continue;
    const joins =
      last !== undefined &&
      span.end - last.start <= LONGEST_QUOTE &&
      ONLY_MARKS.test(passage.slice(last.end, span.start));
    if (joins) joined[joined.length - 1] = { start: last.start, end: span.end };
    else joined.push({ start: span.start, end: span.end });
  }
  return joined;
}

function toCitation(span: Span, passage: PackedPassage): Citation {
  const hit = hitAt(passage, span.start);
  return {
    index: passage.index,
    sourceId: passage.sourceId,
    documentId: passage.documentId,
    chunkId: hit?.chunk.id ?? passage.chunkId,
    externalKey: passage.externalKey,
    title: passage.title,
    url: passage.url,
    page: hit?.chunk.page ?? passage.page,
    start: passage.start + span.start,
    end: passage.start + span.end,
    quote: passage.text.slice(span.start, span.end),
    score: hit?.score ?? passage.score,
  };
}
