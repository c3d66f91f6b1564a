import type { JsonObject, JsonValue } from '../../kernel/index.ts';
import type { ChatMessage, ChatModelRequest, ResponseFormat, ToolCall, ToolDefinition } from '../../llm/index.ts';

/** Anthropic wants a limit; answers from a bot's content are far shorter. */
const DEFAULT_MAX_TOKENS = 4096;

/** The body of a call of `/v1/messages`. */
export function messagesBody(model: string, request: ChatModelRequest): JsonObject {
  const { messages, maxOutputTokens, temperature, topP, stop, endUser } = request;
  const tools = request.tools ?? [];
  const system = [...messages.filter(({ role }) => role === 'system').map(({ content }) => content)];
  if (request.responseFormat !== undefined) system.push(formatInstruction(request.responseFormat));
  const stops = (stop ?? []).filter((text) => text.trim() !== '');
  return {
    model,
    max_tokens: maxOutputTokens ?? DEFAULT_MAX_TOKENS,
    messages: conversationOf(messages, tools.length > 0),
    stream: true,
    ...(system.length === 0 ? {} : { system: system.join('\n\n') }),
    // Its scale ends at 1, and newer models take only one of the two.
    ...(temperature === undefined ? {} : { temperature: Math.min(1, temperature) }),
    ...(topP === undefined || temperature !== undefined ? {} : { top_p: topP }),
    ...(stops.length === 0 ? {} : { stop_sequences: stops }),
    ...(endUser === undefined ? {} : { metadata: { user_id: endUser } }),
    ...(tools.length === 0 ? {} : { tools: tools.map(wireTool), ...toolChoiceOf(request) }),
  };
}

function wireTool({ name, description, parameters }: ToolDefinition): JsonObject {
  return {
    name,
    ...(description === undefined ? {} : { description }),
    input_schema: { type: 'object', ...parameters },
  };
}

function toolChoiceOf({ toolChoice, parallelToolCalls }: ChatModelRequest): JsonObject {
  if (toolChoice === undefined && parallelToolCalls !== false) return {};
  const choice: JsonObject =
    typeof toolChoice === 'object'
      ? { type: 'tool', name: toolChoice.name }
      : { type: toolChoice === 'required' ? 'any' : (toolChoice ?? 'auto') };
  const oneByOne = parallelToolCalls === false && toolChoice !== 'none';
  return { tool_choice: { ...choice, ...(oneByOne ? { disable_parallel_tool_use: true } : {}) } };
}

function formatInstruction(format: ResponseFormat): string {
  const schema = format.type === 'json_schema' ? format.schema : undefined;
  const shape = schema === undefined ? '' : ` that fits this JSON schema: ${JSON.stringify(schema)}`;
  return `Reply with one JSON object${shape}. Write nothing before or after it.`;
}

interface Turn {
  readonly role: 'user' | 'assistant';
  readonly blocks: JsonValue[];
}

/** The messages as turns of user and assistant that alternate and begin with the user, without empty texts. */
function conversationOf(messages: readonly ChatMessage[], hasTools: boolean): readonly JsonObject[] {
  const turns: Turn[] = [];
  for (const message of messages) {
    if (message.role === 'system') continue;
    const role = message.role === 'assistant' ? 'assistant' : 'user';
    const blocks = blocksOf(message, hasTools);
    const last = turns.at(-1);
    if (blocks.length === 0) continue;
    if (last?.role === role) last.blocks.push(...blocks);
    else turns.push({ role, blocks });
  }
  if (turns[0]?.role === 'assistant') turns.unshift({ role: 'user', blocks: [textBlock('Hello.')] });
  return turns.map(({ role, blocks }) => ({ role, content: blocks }));
}

/** Blocks of tools are refused where no tools are named; they are told as text then. */
function blocksOf(message: ChatMessage, hasTools: boolean): JsonValue[] {
  const text = message.content.trim() === '' ? [] : [textBlock(message.content)];
  if (message.role === 'tool') {
    if (!hasTools) return [textBlock(`The tool answered: ${message.content}`)];
    return [{ type: 'tool_result', tool_use_id: wireId(message.toolCallId), content: message.content }];
  }
  if (message.role !== 'assistant') return text;
  const calls = (message.toolCalls ?? []).map((call) =>
    hasTools ? toolUse(call) : textBlock(`I called ${call.name}.`),
  );
  return [...text, ...calls];
}

function textBlock(text: string): JsonObject {
  return { type: 'text', text };
}

function toolUse({ id, name, argumentsText }: ToolCall): JsonObject {
  return { type: 'tool_use', id: wireId(id), name, input: inputOf(argumentsText) };
}

function inputOf(argumentsText: string): JsonObject {
  try {
    const value: unknown = JSON.parse(argumentsText);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : {};
  } catch {
    return {};
  }
}

/** Ids may come from another provider, whose alphabet is larger. */
function wireId(id: string): string {
  return id.replace(/[^\w-]/g, '_');
}
