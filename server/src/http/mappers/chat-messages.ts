import type { AnswerRequest } from '../../chat/index.ts';
import { AppError } from '../../kernel/index.ts';
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

/**
 * Throws `invalid_request` when a tool answers a call that was not made, or does not answer one that was: providers refuse
 * such messages, each in its own words and late.
 */
export function checkToolAnswers(messages: readonly ChatMessage[]): void {
  const made = new Set<string>();
  const open = new Set<string>();
  for (const message of messages) {
    if (message.role === 'tool') {
      const id = message.toolCallId;
      if (!made.has(id))
        throw refused(`A message of role "tool" answers the call ${quoted(id)}, which was not made before it`);
      open.delete(id);
    } else if (message.role !== 'system') {
      refuseOpen(open);
      made.clear();
      for (const { id } of message.role === 'assistant' ? (message.toolCalls ?? []) : []) {
        made.add(id);
        open.add(id);
      }
    }
  }
  refuseOpen(open);
}

function refuseOpen([id]: ReadonlySet<string>): void {
  if (id !== undefined) throw refused(`The call ${quoted(id)} has no answer`);
}

/** As it may stand in a message: ids are the client's own text. */
function quoted(id: string): string {
  return JSON.stringify(id.slice(0, 64));
}

function refused(fault: string): AppError {
  const rule = 'each call of a tool is followed by one message of role "tool" with its id as `tool_call_id`';
  return new AppError('invalid_request', `messages: ${fault}: ${rule}.`, { param: 'messages' });
}

function textOf(content: WireChatMessage['content']): string {
  if (typeof content === 'string') return content;
  return content?.map((part) => part.text).join('\n') ?? '';
}
