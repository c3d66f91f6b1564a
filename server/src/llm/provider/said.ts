import type { ChatModelEvent, ToolCallDelta } from '../ports.ts';

/** Gathers what a model says. Texts that follow each other come out as one event. */
export interface Said {
  text(text: string): void;
  toolCall(delta: Omit<ToolCallDelta, 'type'>): void;
  /** What was said since the last time. */
  take(): readonly ChatModelEvent[];
}

export function createSaid(): Said {
  let events: ChatModelEvent[] = [];
  let texts = '';

  function flushText(): void {
    if (texts !== '') events.push({ type: 'text-delta', text: texts });
    texts = '';
  }

  return {
    text(text) {
      texts += text;
    },
    toolCall(delta) {
      flushText();
      events.push({ type: 'tool-call-delta', ...delta });
    },
    take() {
      flushText();
      const taken = events;
      events = [];
      return taken;
    },
  };
}
