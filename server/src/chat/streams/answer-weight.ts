import type { AnswerEvent } from '../ports.ts';

/** An event beside its text. */
const EVENT_WEIGHT = 16;

/** In characters of text. */
export function weightOf(event: AnswerEvent): number {
  if (event.type === 'text-delta') return EVENT_WEIGHT + event.text.length;
  return event.type === 'tool-call-delta' ? EVENT_WEIGHT + event.argumentsText.length : EVENT_WEIGHT;
}
