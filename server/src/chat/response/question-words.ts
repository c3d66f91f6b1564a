/**
 * A question in the words that carry its meaning, in their order: two questions with the same ones ask the same thing.
 * Left out is only what is known to change nothing (a greeting, "please", "can you tell me", articles); asking for a way is
 * put in one form ("how can I", "what are the steps to"), and so are asking for a thing ("what are the prices of", "tell me
 * the price of", "price of"), short forms and "days of vacation". Every other word, number, name and sign counts, and so do the words of languages other than English.
 *
 * Likeness of embeddings does not decide: questions that differ in a number, a name, a negation or a direction are more
 * alike than most that say the same in other words (cosines up to .99 against .80), so no threshold tells them apart.
 */
export function meaningfulWords(question: string): string {
  let text = spelledOut(tokensOf(question).join(' '));
  for (;;) {
    const shorter = text.replace(OPENING, '').replace(CLOSING, '');
    if (shorter === text || shorter === '') break;
    text = shorter;
  }
  text = text.replace(WAY, 'how ').replace(PLACE, 'where ').replace(TIME, 'when ').replace(DURATION, 'how long ');
  text = text.replace(THING_LAST, 'what is $1').replace(THING, 'what is ').replace(BARE_THING, 'what is $1');
  text = text.replaceAll('get in touch with', 'contact');
  const words = text.split(' ').filter((word) => !ARTICLES.has(word));
  const own = words[0] === 'how' ? words.filter((word) => word !== 'my') : words;
  return own.map(singular).join(' ').replace(LINKED, '$2 $1').replace(DAMAGED, '$1 damage');
}

/** `your` is the owner of the bot, whom everybody asks; `my` may matter. */
const ARTICLES: ReadonlySet<string> = new Set(['the', 'an', 'your']);
const ASKING = 'how|what|when|where|who|whom|whose|why|which';
const OPENING = new RegExp(
  `^(?:(?:hi|hello|hey|please|kindly|excuse me|quick question) |(?:(?:(?:can|could|would|will) you (?:please )?|please )?(?:tell|show|explain)(?: to)?(?: me| us)?|i (?:want|need|wish) to know|i would like to know|do you know) (?=(?:${ASKING}) ))`,
  'u',
);
const CLOSING = / (?:please|thanks|thank you|thx)$/u;
const WAY =
  /^(?:how (?:do|can|could|would) (?:i|we)|how (?:can|does) one|how to|what (?:is the|are the) (?:best )?(?:way|ways|steps|procedure|process) to) /u;
const TIME = /^(?:by when|(?:at )?what time) /u;
const DURATION = /^how long (?:do|does|will) /u;
const PLACE = /^where (?:do|can|could) (?:i|we) /u;
/** "what the price of the cap is", of which only the last word is in another place. */
const THING_LAST = /^what ((?:the|your|my) .+) (?:is|are)$/u;
/** Only "tell me": who says "give me the refund" or "tell the manager" asks for something else. */
const THING =
  /^(?:what are |(?:(?:can|could|would|will) you (?:please )?|please )?tell (?:me|us) |i (?:want|need|wish|would like) to know )(?=(?:the|your|my) )/u;
/** Without a verb. Only with "of": "return shoes" is no thing. */
const BARE_THING = new RegExp(`^(?!(?:${ASKING}) )((?:the )?\\p{L}+(?: \\p{L}+){0,2} of )`, 'u');
const NO_NOUN =
  'is|are|was|were|be|do|does|did|can|could|will|would|may|might|must|shall|should|have|has|had|i|we|you|they|he|she|it|there|how|what|when|where|who|which|why|many|much|any|some|no|not|and|or|if|per|in|at|to|from|with|without';
/**
 * "days of vacation", "policy on refunds", "discount for students", "damage by water": what stands behind qualifies what
 * stands before, one word each. Only nouns of which that is known: "cups of tea" are no tea cups, and books by an author are
 * none on him. Elsewhere the link stays, because the same words in another order are another question.
 */
const LINKED = new RegExp(
  `(?<=^|(?:^| )(?:${NO_NOUN}) )((?:days?|week|month|hour|price|cost|fee|rate|date)(?= of )|(?:policy|rule|guideline)(?= on )|(?:discount|fee|price)(?= for )) (?:of|on|for) (\\p{L}{3,})(?= (?:${NO_NOUN})(?: |$)|$)`,
  'gu',
);
const DAMAGED = new RegExp(`\\bdamage by (\\p{L}{3,})(?= (?:${NO_NOUN})(?: |$)|$)`, 'gu');

/** Words with what belongs to them ("2.1", "C++", "TCP/IP"), without what only parts sentences. */
function tokensOf(question: string): readonly string[] {
  return question
    .normalize('NFKC')
    .toLowerCase()
    .replace(/[\u2018\u2019\u02bc]/gu, "'")
    .split(/\s+/u)
    .map((token) => token.replace(/^["'(\u00ab\u201c\u00bf\u00a1]+|["')\u00bb\u201d?!.,;:\u2026]+$/gu, ''))
    .filter((token) => token !== '');
}

function spelledOut(text: string): string {
  return text
    .replace(/\b(?:can't|cannot)(?= |$)/gu, 'can not')
    .replace(/\bwon't(?= |$)/gu, 'will not')
    .replace(/n't(?= |$)/gu, ' not')
    .replace(new RegExp(`\\b(${ASKING}|it|that|there)'s(?= |$)`, 'gu'), '$1 is')
    .replace(/\bi'd(?= |$)/gu, 'i would')
    .replace(/\bi'm(?= |$)/gu, 'i am');
}

/** The plainest plurals; a word that only looks like one is cut in both questions alike. */
function singular(word: string): string {
  return /^\p{L}{3,}[^su\P{L}]s$/u.test(word) && !/(?:ss|is)$/u.test(word) ? word.slice(0, -1) : word;
}
