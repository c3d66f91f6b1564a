/** What a bot says that has no refusal message of its own. */
export const DEFAULT_REFUSAL_MESSAGE =
  'I could not find an answer to that in my sources. Try asking in other words, or ask something more specific.';

/** What the answerer says for a bot that was not trained yet, where no chat model could talk freely. */
export const NO_CONTENT_MESSAGE = 'I have no content to answer from yet. Add a source to this bot, then ask again.';

/** Whether an answer is the refusal message, however the model spaced, marked or punctuated it. */
export function isRefusal(answer: string, refusalMessage: string): boolean {
  return bare(answer) === bare(refusalMessage);
}

function bare(text: string): string {
  return text
    .replace(/\[\d+\]/gu, ' ')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, ' ')
    .trim();
}
