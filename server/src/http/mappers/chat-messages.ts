import type { AnswerRequest } from '../../chat/index.ts';
import type { WireChatMessage } from '../contract/index.ts';

type ChatMessage = AnswerRequest['messages'][number];

/** OpenAI's messages as the house reads them: `developer` is `system`; the old messages of functions are left out. */
export function chatMessagesOf(messages: readonly WireChatMessage[]): readonly ChatMessage[] {
  return messages.flatMap((message): ChatMessage[] => {
    if (message.role === 'function') return [];
    const content = textOf(message.content);
    if (message.role === 'tool') return [{ role: 'tool', content, toolCallId: message.tool_call_id ?? '' }];
    if (message.role === 'assistant' && (message.tool_calls ?? []).length > 0) {
      const toolCalls = (message.tool_calls ?? []).map(({ id, function: { name, arguments: argumentsText } }) => ({
        id,
        name,
        argumentsText,
      }));
      return [{ role: 'assistant', content, toolCalls }];
    }
    if (content === '' && message.role !== 'user') return [];
    return [{ role: message.role === 'developer' ? 'system' : message.role, content }];
  });
}

function textOf(content: WireChatMessage['content']): string {
  if (typeof content === 'string') return content;
  return content?.map((part) => part.text).join('\n') ?? '';
}
