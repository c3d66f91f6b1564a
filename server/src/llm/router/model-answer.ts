import type { FinishReason, TokenUsage } from '../ports.ts';
import type { ModelCallEvent } from './model-call.ts';

export interface ModelAnswer {
  readonly text: string;
  readonly finishReason: FinishReason;
  /** Null when the provider did not say. */
  readonly usage: TokenUsage | null;
  readonly attempts: number;
}

/** Reads a call to its end, for callers that want the whole text. Rejects as the iterator does. */
export async function readAnswer(events: AsyncIterable<ModelCallEvent>): Promise<ModelAnswer> {
  const deltas: string[] = [];
  let attempts = 1;
  for await (const event of events) {
    if (event.type === 'start') attempts = event.attempts;
    else if (event.type === 'text-delta') deltas.push(event.text);
    else if (event.type === 'end')
      return { text: deltas.join(''), finishReason: event.finishReason, usage: event.usage, attempts };
  }
  throw new Error('a model call ended without its end event');
}
