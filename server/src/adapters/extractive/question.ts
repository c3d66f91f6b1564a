import { contentTerms, questionTerms } from '../../llm/index.ts';

export type QuestionKind =
  | 'who'
  | 'when'
  | 'where'
  | 'how-many'
  | 'how-to'
  | 'why'
  | 'definition'
  | 'listing'
  | 'other';

export interface Question {
  readonly text: string;
  readonly kind: QuestionKind;
  /** Distinct stems, in order. */
  readonly terms: readonly string[];
  /** Pairs of neighbouring content stems, `a b`. */
  readonly pairs: readonly string[];
}

/** Words that say little about the subject of a question; they count for less. */
const WEAK_WORDS =
  'need use using used work make take people person thing things way find know show help happen happens someone somebody ' +
  'anyone new many long first kind type types different provide explain describe mean means call called allow allowed ask ' +
  'question answer best good better right able possible start starting keep put see look learn understand information ' +
  'info details detail process steps step handle deal available require required must say says list name tell okay ' +
  'example examples everyone everything something anything include included including part general usually typically time times day days out off over up down';

const WEAK_TERMS: ReadonlySet<string> = new Set(contentTerms(WEAK_WORDS));
const WEAK_WEIGHT = 0.35;

/** Checked in order; the first that fits gives the kind. */
const KINDS: readonly (readonly [RegExp, QuestionKind])[] = [
  [
    /\bhow (?:many|much|long|often|old|far|big|large|tall|high|soon|frequently)\b|\bwhat (?:percentage|number|amount|is the (?:limit|maximum|minimum|cost|price|fee|rate))\b/iu,
    'how-many',
  ],
  [
    /\bhow (?:do|does|can|could|should|would|to|must|might|is|are)\b|\bsteps\b|\bwhat (?:do|should|must) (?:i|we|you) do\b/iu,
    'how-to',
  ],
  [/\bwho(?:m|se)?\b|\bwhich (?:person|team|group|office)\b/iu, 'who'],
  [/\bwhen\b|\bwhat (?:time|date|day|year|month)\b|\bdeadline\b|\bby what\b/iu, 'when'],
  [/\bwhere\b|\bwhich (?:place|channel|location|page|site)\b/iu, 'where'],
  [/\bwhy\b|\bwhat (?:is|was|are) the (?:reason|purpose|point)\b/iu, 'why'],
  [/\bwhat (?:are|were)\b|\bwhich\b|\bwhat (?:kinds?|types?|sorts?)\b|\blist\b/iu, 'listing'],
  [
    /\bwhat(?:'s|’s| is| was| does)\b|\bdefine\b|\bmeaning of\b|\bstands? for\b|\bexplain\b|\btell me about\b/iu,
    'definition',
  ],
];

/** Reads what a question asks for: its subject terms and the kind of answer it wants. */
export function readQuestion(text: string): Question {
  const stems = questionTerms(text);
  return {
    text,
    kind: KINDS.find(([pattern]) => pattern.test(text))?.[1] ?? 'other',
    terms: [...new Set(stems)],
    pairs: [...new Set(pairsOf(stems))],
  };
}

/** How much a term says about the subject, before its rarity: 1, or less for words that any question may hold. */
export function subjectWeight(term: string): number {
  return WEAK_TERMS.has(term) ? WEAK_WEIGHT : 1;
}

/** Pairs of neighbouring terms. */
export function pairsOf(terms: readonly string[]): string[] {
  return terms.slice(1).map((term, position) => `${terms[position]} ${term}`);
}
