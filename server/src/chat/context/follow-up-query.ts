import { type ChatMessage, contentTerms } from '../../llm/index.ts';
import { openingOf } from './text-cut.ts';

const MAX_CARRIED_WORDS = 8;
const MAX_TURNS_BACK = 3;
/** A question with more words of its own than this stands by itself, pronoun or not. */
const MAX_TERMS_WITH_PRONOUN = 5;
const MAX_TERMS_WITH_PLURAL_PRONOUN = 2;
const MAX_TERMS_WITH_LEAD = 4;
const MAX_TERMS_WHEN_SHORT = 1;

const EMPTY_IT = /\b(?:is|was) it (?:possible|allowed|necessary|required|true|ok|okay|safe)\b/gi;
const PRONOUN =
  /\b(?:it|its|this|these|those)\b|^\s*that\b|\bthat[\s?.!]*$|\b(?:about|do|does|did|for|from|is|like|of|on|than|to|was|with|without)\s+that\b/i;
const PLURAL_PRONOUN = /\b(?:they|them|their|theirs|he|him|his|she|her|hers)\b/i;
const LEAD = /^\s*(?:and|but|or|also|plus|otherwise|what about|how about|what if|what else|anything else)\b/i;
const SMALL_TALK =
  /^\s*(?:hi|hello|hey|thanks?|thank you|thx|ok|okay|great|cool|nice|perfect|bye|goodbye|yes|no|good (?:morning|afternoon|evening))\b/i;
const ASKING_WORDS: ReadonlySet<string> = new Set(contentTerms('describe explain help know need show tell'));
const WORD = /[\p{L}\p{N}](?:[\p{L}\p{N}\p{M}_.+#'’/-]*[\p{L}\p{N}\p{M}+#])?/gu;
const ENTITY = /\p{N}|[_/+#]|\p{L}[.-]\p{L}|\p{Ll}\p{Lu}|^\p{Lu}/u;

/**
 * The question as it should be searched: one that leans on the turns before it ("and for teams?", "how much does it
 * cost?") takes over the telling words of the last user turn, which may itself have leaned on the one before. Made by
 * rules, without a model; a question that stands by itself is returned as it is. Of long messages the opening is read.
 */
export function withCarriedWords(query: string, messages: readonly ChatMessage[]): string {
  const turns = messages.filter(({ role }) => role === 'user').map(({ content }) => content);
  return [...turns.slice(-MAX_TURNS_BACK), query].map(openingOf).reduce((before, turn) => carryOver(before, turn), '');
}

function carryOver(before: string, turn: string): string {
  if (before === '' || !leansOnContext(turn)) return turn;
  const words = tellingWords(before, new Set(contentTerms(turn)));
  return words.length === 0 ? turn : `${turn.trim()} ${words.join(' ')}`;
}

function leansOnContext(question: string): boolean {
  const terms = new Set(contentTerms(question)).size;
  if (terms <= MAX_TERMS_WHEN_SHORT && SMALL_TALK.test(question)) return false;
  return (
    terms <= MAX_TERMS_WHEN_SHORT ||
    (terms <= MAX_TERMS_WITH_LEAD && LEAD.test(question)) ||
    (terms <= MAX_TERMS_WITH_PRONOUN && PRONOUN.test(question.replace(EMPTY_IT, ''))) ||
    (terms <= MAX_TERMS_WITH_PLURAL_PRONOUN && PLURAL_PRONOUN.test(question))
  );
}

/** Words that say what a turn was about, as they were written, in order; names and identifiers first when there are many. */
function tellingWords(turn: string, known: ReadonlySet<string>): string[] {
  const seen = new Set([...known, ...ASKING_WORDS]);
  const words: string[] = [];
  for (const [word] of turn.matchAll(WORD)) {
    const terms = contentTerms(word);
    if (terms.length === 0 || terms.every((term) => seen.has(term))) continue;
    for (const term of terms) seen.add(term);
    words.push(word);
  }
  if (words.length <= MAX_CARRIED_WORDS) return words;
  const byWeight = [...words.filter(isEntity), ...words.filter((word) => !isEntity(word))];
  const chosen = new Set(byWeight.slice(0, MAX_CARRIED_WORDS));
  return words.filter((word) => chosen.has(word));
}

function isEntity(word: string): boolean {
  return ENTITY.test(word);
}
