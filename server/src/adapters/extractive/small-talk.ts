const GREETING =
  /^(?:hi|hiya|hello|hey|howdy|good (?:morning|afternoon|evening|day)|greetings)(?: (?:there|all|everyone|bot|team))?$/u;
const THANKS =
  /^(?:(?:ok|okay|great|perfect|cool|nice|awesome) ?)?(?:thanks|thank you|thx|cheers|ty)(?: (?:so much|very much|a lot|again|for (?:your|the) help))?$/u;
const FAREWELL = /^(?:bye|goodbye|bye bye|see you|see ya|good night)(?: (?:later|then|soon))?$/u;

/** A short reply to a greeting, thanks or a farewell that holds no question; null for all else. */
export function smallTalkReply(text: string): string | null {
  const words = text
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, ' ')
    .trim();
  if (GREETING.test(words)) return 'Hello! Ask me a question, and I will look for the answer in my sources.';
  if (THANKS.test(words)) return 'You are welcome!';
  return FAREWELL.test(words) ? 'Goodbye!' : null;
}
