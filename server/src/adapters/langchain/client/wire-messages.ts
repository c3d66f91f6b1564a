import type { AIMessage, BaseMessage, ToolMessage } from '@langchain/core/messages';

/** A message of LangChain.js in OpenAI's form. Only text is sent. */
export function toWireMessage(message: BaseMessage): Readonly<Record<string, unknown>> {
  const content = message.text;
  switch (message.getType()) {
    case 'system':
      return { role: 'system', content };
    case 'ai': {
      const { tool_calls: calls = [] } = message as AIMessage;
      if (calls.length === 0) return { role: 'assistant', content };
      return {
        role: 'assistant',
        content: content === '' ? null : content,
        tool_calls: calls.map(({ id, name, args }) => ({
          id,
          type: 'function',
          function: { name, arguments: JSON.stringify(args) },
        })),
      };
    }
    case 'tool':
      return { role: 'tool', content, tool_call_id: (message as ToolMessage).tool_call_id };
    default:
      return { role: 'user', content };
  }
}
