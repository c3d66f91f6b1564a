/** Explanations of what can go wrong with index generations. */
export const GENERATION_ERRORS = {
  generation_not_found: {
    meaning: 'The bot has no such index generation, or none to go back to.',
    remedy: 'List them: `GET /v1/bots/{bot}/generations`.',
  },
  golden_question_not_found: {
    meaning: 'The bot has no such golden question.',
    remedy: 'List them: `GET /v1/bots/{bot}/golden_questions`.',
  },
  generation_busy: {
    meaning: 'Another generation of the bot is being built, or two requests changed the same one at once.',
    remedy: 'Wait until it is finished or delete it, then send the request again.',
  },
  generation_not_usable: {
    meaning: 'The generation is in a state that does not allow this: it failed, was cancelled, or is the active one.',
    remedy: 'Look at its `state` and `last_error`; build a new one when it cannot be used.',
  },
} as const;
