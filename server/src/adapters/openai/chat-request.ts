import type { JsonObject, JsonValue } from '../../kernel/index.ts';
import type {
  ChatMessage,
  ChatModelRequest,
  ProviderFailure,
  ResponseFormat,
  ToolChoice,
  ToolDefinition,
} from '../../llm/index.ts';

/** What a server turned out not to take; learned from its refusals, once for each model. */
export interface ServerLimits {
  readonly takesStreamOptions: boolean;
  readonly takesMaxTokens: boolean;
}

/** Models that think before they speak take their limit under another name, and neither temperature nor stop texts. */
const REASONING_MODEL = /(?:^|\/)(?:o\d|gpt-5(?!-chat))/;

export function limitsOf(model: string): ServerLimits {
  return { takesStreamOptions: true, takesMaxTokens: !REASONING_MODEL.test(model) };
}

/** Narrower limits when the failure names something that could be left out; null when it does not. */
export function narrowLimits(limits: ServerLimits, { status, message, code }: ProviderFailure): ServerLimits | null {
  if (status !== 400 && status !== 422) return null;
  if (limits.takesStreamOptions && /stream_options|include_usage/.test(message)) {
    return { ...limits, takesStreamOptions: false };
  }
  const refusesMaxTokens = code === 'unsupported_parameter' && message.includes('max_completion_tokens');
  return limits.takesMaxTokens && refusesMaxTokens ? { ...limits, takesMaxTokens: false } : null;
}

/** The body of a call of `chat/completions`. */
export function chatRequestBody(model: string, request: ChatModelRequest, limits: ServerLimits): JsonObject {
  const reasons = REASONING_MODEL.test(model);
  const { maxOutputTokens, stop, tools, toolChoice, responseFormat } = request;
  const hasTools = tools !== undefined && tools.length > 0;
  return withoutUndefined({
    model,
    messages: request.messages.map(wireMessage),
    stream: true,
    stream_options: limits.takesStreamOptions ? { include_usage: true } : undefined,
    temperature: reasons ? undefined : request.temperature,
    top_p: reasons ? undefined : request.topP,
    presence_penalty: reasons ? undefined : request.presencePenalty,
    frequency_penalty: reasons ? undefined : request.frequencyPenalty,
    reasoning_effort: request.reasoningEffort,
    seed: request.seed,
    [limits.takesMaxTokens ? 'max_tokens' : 'max_completion_tokens']: maxOutputTokens,
    stop: stop === undefined || stop.length === 0 || reasons ? undefined : stop,
    user: request.endUser,
    tools: hasTools ? tools.map(wireTool) : undefined,
    tool_choice: hasTools && toolChoice !== undefined ? wireToolChoice(toolChoice) : undefined,
    parallel_tool_calls: hasTools ? request.parallelToolCalls : undefined,
    response_format: responseFormat === undefined ? undefined : wireResponseFormat(responseFormat),
  });
}

function wireMessage(message: ChatMessage): JsonObject {
  const { role, content } = message;
  if (message.role === 'tool') return { role, content, tool_call_id: message.toolCallId };
  if (message.role !== 'assistant' || message.toolCalls === undefined || message.toolCalls.length === 0) {
    return { role, content };
  }
  const calls = message.toolCalls.map(({ id, name, argumentsText }) => ({
    id,
    type: 'function',
    function: { name, arguments: argumentsText },
  }));
  return { role, content: content === '' ? null : content, tool_calls: calls };
}

function wireTool({ name, description, parameters, strict }: ToolDefinition): JsonObject {
  return { type: 'function', function: withoutUndefined({ name, description, parameters, strict }) };
}

function wireToolChoice(choice: ToolChoice): JsonValue {
  return typeof choice === 'string' ? choice : { type: 'function', function: { name: choice.name } };
}

function wireResponseFormat(format: ResponseFormat): JsonObject {
  if (format.type === 'json_object') return { type: 'json_object' };
  const { name, description, schema, strict } = format;
  return { type: 'json_schema', json_schema: withoutUndefined({ name, description, schema, strict }) };
}

function withoutUndefined(fields: Readonly<Record<string, JsonValue | undefined>>): JsonObject {
  const given = Object.entries(fields).filter((entry): entry is [string, JsonValue] => entry[1] !== undefined);
  return Object.fromEntries(given);
}
