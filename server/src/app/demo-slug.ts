/** The slug of the bot that the first start makes. */
export const DEMO_SLUG = 'demo';
