import type { AnswerRequest } from '../../chat/index.ts';
import type { WireChatMessage } from '../contract/index.ts';

type ChatMessage = AnswerRequest['messages'][number];

/** OpenAI's messages as the house reads them: `developer` is `system`; what tools and calls of tools say is left out. */
export function chatMessagesOf(messages: readonly WireChatMessage[]): readonly ChatMessage[] {
  return messages.flatMap((message): ChatMessage[] => {
    if (message.role === 'tool' || message.role === 'function') return [];
    const content = textOf(message.content);
    if (content === '' && message.role !== 'user') return [];
    return [{ role: message.role === 'developer' ? 'system' : message.role, content }];
  });
}

function textOf(content: WireChatMessage['content']): string {
  if (typeof content === 'string') return content;
  return content?.map((part) => part.text).join('\n') ?? '';
}
