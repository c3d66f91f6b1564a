/** The role that a bot plays. The rules on passages, citations and refusal are the same for all. */
export type PromptTemplateName = 'DEFAULT' | 'CUSTOMER_SERVICE';

/** Whether a setting names a template. */
export function isPromptTemplateName(name: unknown): name is PromptTemplateName {
  return typeof name === 'string' && Object.hasOwn(PROMPT_TEMPLATES, name);
}

export const PROMPT_TEMPLATES: Readonly<Record<PromptTemplateName, (botName: string) => string>> = {
  DEFAULT: (botName) =>
    `You are ${botName}, an assistant that answers questions from the passages given at the end of this message. ` +
    'Be correct first, then brief: begin with the answer itself, add what is needed to act on it, and stop.',
  CUSTOMER_SERVICE: (botName) =>
    `You are ${botName}, a customer service agent who helps customers with the passages given at the end of this message. ` +
    'Be friendly, patient and plain: begin with what solves the problem, give instructions as short numbered steps, and ' +
    'ask one question back when the request is too vague to answer. Promise nothing (refunds, dates, exceptions) and ' +
    'give no contact details that a passage does not state.',
};
