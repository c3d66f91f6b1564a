import { AppError, type Clock, systemClock } from '../../kernel/index.ts';
import type {
  ChatMessage,
  ChatModel,
  ChatModelEvent,
  ChatModelRequest,
  FinishReason,
  ModelSettings,
  ResponseFormat,
  TokenUsage,
  ToolChoice,
} from '../../llm/index.ts';
import { abortable } from '../../resilience/index.ts';
import { addUsage, createToolCallNumbers, readChatChunk } from './chat-chunk.ts';
import { cutOff, invalidAnswer, toLangChainFailure } from './failures.ts';

interface Streaming {
  stream(
    messages: readonly Readonly<Record<string, unknown>>[],
    options: Readonly<Record<string, unknown>>,
  ): Promise<AsyncIterable<unknown>>;
}

/** A chat model of LangChain.js (BaseChatModel), as far as it is used here. */
export interface LangChainChatModel extends Streaming {
  _llmType(): string;
  bindTools?(tools: readonly object[], options: Readonly<Record<string, unknown>>): Streaming;
}

/** What a request may set that LangChain.js knows in the constructor alone. */
export type MadeFor = Pick<
  ModelSettings,
  'temperature' | 'topP' | 'seed' | 'presencePenalty' | 'frequencyPenalty' | 'reasoningEffort' | 'maxOutputTokens'
>;

export interface LangChainChatModelOptions {
  /** `langchain/<name>`. */
  readonly id: string;
  /** The model with these settings in place of its own. */
  readonly make: (settings: MadeFor) => LangChainChatModel;
  /** Whether an answer that ends without a reason was cut off; null: judged by the class. */
  readonly requiresFinishReason?: boolean | null;
  readonly clock?: Clock;
}

/** Classes that always say why an answer ended: without a reason it was cut off. */
const REASON_GIVERS = new Set([
  'openai',
  'azure_openai',
  'anthropic',
  'ollama',
  'groq',
  'mistral_ai',
  'deepseek',
  'xai',
]);

/** How long to wait for what follows the reason of the end: usage, as a rule. */
const AFTER_FINISH_MS = 2000;
const MAX_INSTANCES = 32;

/** Any chat model of LangChain.js. Every failure is an AppError that holds nothing of what the provider wrote. */
export function createLangChainChatModel(options: LangChainChatModelOptions): ChatModel {
  const instances = new Map<string, LangChainChatModel>();

  function instanceFor(request: ChatModelRequest): LangChainChatModel {
    const { temperature, topP, seed, presencePenalty, frequencyPenalty, reasoningEffort, maxOutputTokens } = request;
    const wanted = { temperature, topP, seed, presencePenalty, frequencyPenalty, reasoningEffort, maxOutputTokens };
    const settings: MadeFor = Object.fromEntries(Object.entries(wanted).filter(([, value]) => value !== undefined));
    const key = JSON.stringify(settings);
    const known = instances.get(key);
    if (known !== undefined) return known;
    const made = options.make(settings);
    const [oldest] = instances.keys();
    if (instances.size >= MAX_INSTANCES && oldest !== undefined) instances.delete(oldest);
    instances.set(key, made);
    return made;
  }

  return {
    id: options.id,
    doStream: (request, { signal }) => streamAnswer({ options, instanceFor, request, signal }),
  };
}

interface Call {
  readonly options: LangChainChatModelOptions;
  readonly instanceFor: (request: ChatModelRequest) => LangChainChatModel;
  readonly request: ChatModelRequest;
  readonly signal: AbortSignal | undefined;
}

async function* streamAnswer({ options, instanceFor, request, signal }: Call): AsyncGenerator<ChatModelEvent> {
  signal?.throwIfAborted();
  const left = new AbortController();
  const eitherSignal = signal === undefined ? left.signal : AbortSignal.any([signal, left.signal]);
  let chunks: AsyncIterator<unknown> | null = null;
  let began = false;
  try {
    const instance = instanceFor(request);
    const opening = withTools(instance, request).stream(request.messages.map(toLangChainMessage), {
      ...callOptions(request),
      signal: eitherSignal,
    });
    chunks = (await abortable(opening, signal))[Symbol.asyncIterator]();
    const requiresReason = options.requiresFinishReason ?? REASON_GIVERS.has(instance._llmType());
    for await (const event of readAnswer({ chunks, signal, requiresReason, clock: options.clock ?? systemClock })) {
      began ||= event.type !== 'end';
      yield event;
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw toLangChainFailure(error, { began });
  } finally {
    // Frees the connection of an answer that was not read to its end. Not awaited: a read may be under way.
    left.abort();
    chunks?.return?.().catch(() => {});
  }
}

interface Reading {
  readonly chunks: AsyncIterator<unknown>;
  readonly signal: AbortSignal | undefined;
  readonly requiresReason: boolean;
  readonly clock: Clock;
}

async function* readAnswer({ chunks, signal, requiresReason, clock }: Reading): AsyncGenerator<ChatModelEvent> {
  let finishReason: FinishReason | null = null;
  let usage: TokenUsage | null = null;
  let isEmpty = true;
  let callsTools = false;
  const numbered = createToolCallNumbers();
  while (finishReason === null) {
    const { done, value } = await abortable(chunks.next(), signal);
    if (done) break;
    isEmpty = false;
    const chunk = readChatChunk(value);
    usage = addUsage(usage, chunk.usage);
    finishReason = chunk.finishReason;
    if (chunk.text !== '') yield { type: 'text-delta', text: chunk.text };
    callsTools ||= chunk.toolCalls.length > 0;
    for (const piece of chunk.toolCalls) yield numbered(piece);
  }
  if (finishReason === null && isEmpty) throw invalidAnswer('an empty answer');
  if (finishReason === null && requiresReason) throw cutOff();
  if (finishReason !== null) usage = addUsage(usage, await readRest(chunks, clock));
  // Some providers stop for a call of a tool without saying so.
  const reason = callsTools && (finishReason ?? 'stop') === 'stop' ? 'tool_calls' : (finishReason ?? 'stop');
  yield { type: 'end', finishReason: reason, usage };
}

/** The usage in what follows the end, which may be nothing, or nothing in time. */
async function readRest(chunks: AsyncIterator<unknown>, clock: Clock): Promise<TokenUsage | null> {
  const waiting = new AbortController();
  const tooLate = clock.sleep(AFTER_FINISH_MS, waiting.signal).then(
    () => null,
    () => null,
  );
  let usage: TokenUsage | null = null;
  try {
    for (;;) {
      const next = await Promise.race([chunks.next().catch(() => null), tooLate]);
      if (next === null || next.done) return usage;
      usage = addUsage(usage, readChatChunk(next.value).usage);
    }
  } finally {
    waiting.abort();
  }
}

function withTools(
  instance: LangChainChatModel,
  { tools, toolChoice, parallelToolCalls }: ChatModelRequest,
): Streaming {
  if (tools === undefined || tools.length === 0) return instance;
  if (instance.bindTools === undefined) {
    throw new AppError(
      'provider_rejected_request',
      'This model takes no tools. Leave them out or choose another model.',
    );
  }
  const offered = tools.map((tool) => ({
    type: 'function',
    function: { parameters: { type: 'object', properties: {} }, ...tool },
  }));
  return instance.bindTools(offered, {
    ...(toolChoice === undefined ? {} : { tool_choice: toLangChainChoice(toolChoice) }),
    ...(parallelToolCalls === undefined ? {} : { parallel_tool_calls: parallelToolCalls }),
  });
}

/** `any` is what all of LangChain.js understands for `required`. */
function toLangChainChoice(choice: ToolChoice): string {
  if (typeof choice === 'object') return choice.name;
  return choice === 'required' ? 'any' : choice;
}

/** What models of LangChain.js take with each call; those that do not know one pass it over. */
function callOptions({ stop, responseFormat }: ChatModelRequest): Readonly<Record<string, unknown>> {
  return {
    ...(stop === undefined || stop.length === 0 ? {} : { stop: [...stop] }),
    ...(responseFormat === undefined ? {} : { response_format: toOpenAiFormat(responseFormat) }),
  };
}

function toOpenAiFormat(format: ResponseFormat): object {
  const { type, ...schema } = format;
  return type === 'json_schema' ? { type, json_schema: schema } : { type };
}

/** LangChain.js takes messages in OpenAI's form, and makes its own of them. */
function toLangChainMessage(message: ChatMessage): Readonly<Record<string, unknown>> {
  const { role, content } = message;
  if (message.role === 'tool') return { role, content, tool_call_id: message.toolCallId };
  if (message.role !== 'assistant' || message.toolCalls === undefined) return { role, content };
  const calls = message.toolCalls.map(({ id, name, argumentsText }) => ({
    id,
    name,
    args: argumentsOf(argumentsText),
  }));
  return { role, content, tool_calls: calls.map((call) => ({ type: 'tool_call', ...call })) };
}

function argumentsOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}
