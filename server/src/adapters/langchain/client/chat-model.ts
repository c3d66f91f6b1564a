import type { CallbackManagerForLLMRun } from '@langchain/core/callbacks/manager';
import type { BaseLanguageModelInput } from '@langchain/core/language_models/base';
import {
  BaseChatModel,
  type BaseChatModelCallOptions,
  type BaseChatModelParams,
  type BindToolsInput,
} from '@langchain/core/language_models/chat_models';
import { AIMessageChunk, type BaseMessage, type UsageMetadata } from '@langchain/core/messages';
import { ChatGenerationChunk, type ChatResult } from '@langchain/core/outputs';
import type { Runnable } from '@langchain/core/runnables';
import { convertToOpenAITool } from '@langchain/core/utils/function_calling';
import {
  type ChatSphereConnection,
  ChatSphereError,
  callChatSphere,
  readEventData,
  toChatSphereError,
} from './connection.ts';
import { toWireMessage } from './wire-messages.ts';

export interface ChatSphereChatModelFields extends ChatSphereConnection, BaseChatModelParams {
  readonly temperature?: number;
  readonly maxTokens?: number;
  /** Your id of the person who asks. */
  readonly user?: string;
  /** Id of a conversation to go on with, or true for a new one. */
  readonly conversation?: string | true;
}

export interface ChatSphereChatCallOptions extends BaseChatModelCallOptions {
  /** Id of a conversation to go on with, or true for a new one. */
  conversation?: string | true;
  user?: string;
  tools?: readonly object[];
}

interface WireUsage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
}

interface WireToolCall {
  readonly index?: number;
  readonly id?: string;
  readonly function?: { readonly name?: string; readonly arguments?: string };
}

interface WireSaid {
  readonly content?: string | null;
  readonly tool_calls?: readonly WireToolCall[];
  readonly chatsphere?: Readonly<Record<string, unknown>>;
}

interface WireCompletion {
  readonly error?: unknown;
  readonly model?: string;
  readonly usage?: WireUsage | null;
  readonly choices?: readonly {
    readonly delta?: WireSaid;
    readonly message?: WireSaid;
    readonly finish_reason?: string | null;
  }[];
}

/**
 * A chat model of LangChain.js that is a bot: it answers from the bot's content, with citations. These, the conversation and who
 * served it are in `response_metadata.chatsphere` (for a stream, of its last chunks).
 */
export class ChatSphereChatModel extends BaseChatModel<ChatSphereChatCallOptions> {
  static override lc_name(): string {
    return 'ChatSphereChatModel';
  }
  override lc_namespace = ['chatsphere', 'chat_models'];
  override get lc_secrets(): Record<string, string> {
    return { apiKey: 'CHATSPHERE_API_KEY' };
  }
  override get callKeys(): string[] {
    return [...super.callKeys, 'conversation', 'user', 'tools', 'tool_choice'];
  }
  temperature: number | undefined;
  maxTokens: number | undefined;
  user: string | undefined;
  conversation: string | true | undefined;
  readonly #connection: ChatSphereConnection;

  constructor(fields: ChatSphereChatModelFields) {
    super(fields);
    this.#connection = fields;
    this.temperature = fields.temperature;
    this.maxTokens = fields.maxTokens;
    this.user = fields.user;
    this.conversation = fields.conversation;
  }

  override _llmType(): string {
    return 'chatsphere';
  }

  override bindTools(
    tools: BindToolsInput[],
    kwargs?: Partial<ChatSphereChatCallOptions>,
  ): Runnable<BaseLanguageModelInput, AIMessageChunk, ChatSphereChatCallOptions> {
    return this.withConfig({ tools: tools.map((tool) => convertToOpenAITool(tool)), ...kwargs });
  }

  override async _generate(messages: BaseMessage[], options: this['ParsedCallOptions']): Promise<ChatResult> {
    const response = await this.#post(messages, { options, stream: false });
    const completion = (await response.json()) as WireCompletion;
    const choice = completion.choices?.[0];
    const said = choice?.message;
    const text = said?.content ?? '';
    // A chunk although it is whole: structured output of LangChain.js reads nothing else.
    const message = new AIMessageChunk({
      content: text,
      tool_call_chunks: toolCallChunks(said),
      response_metadata: metadataOf(completion, said, choice?.finish_reason),
    });
    if (completion.usage) Object.assign(message, { usage_metadata: toUsage(completion.usage) });
    return { generations: [{ text, message }], llmOutput: {} };
  }

  override async *_streamResponseChunks(
    messages: BaseMessage[],
    options: this['ParsedCallOptions'],
    runManager?: CallbackManagerForLLMRun,
  ): AsyncGenerator<ChatGenerationChunk> {
    const response = await this.#post(messages, { options, stream: true });
    let isWhole = false;
    for await (const data of readEventData(response.body ?? empty())) {
      if (data === '[DONE]') break;
      const completion = JSON.parse(data) as WireCompletion;
      if (completion.error !== undefined) throw toChatSphereError(completion);
      const choice = completion.choices?.[0];
      isWhole ||= typeof choice?.finish_reason === 'string';
      const text = choice?.delta?.content ?? '';
      const message = new AIMessageChunk({
        content: text,
        tool_call_chunks: toolCallChunks(choice?.delta),
        response_metadata: metadataOf(completion, choice?.delta, choice?.finish_reason),
      });
      if (completion.usage) Object.assign(message, { usage_metadata: toUsage(completion.usage) });
      const chunk = new ChatGenerationChunk({ text, message });
      yield chunk;
      await runManager?.handleLLMNewToken(text, undefined, undefined, undefined, undefined, { chunk });
    }
    if (!isWhole)
      throw new ChatSphereError('The answer was cut off. Ask again.', { status: 0, code: 'stream_interrupted' });
  }

  /** Retried by LangChain's caller (`maxRetries`) until an answer begins. */
  #post(
    messages: readonly BaseMessage[],
    { options, stream }: { readonly options: ChatSphereChatCallOptions; readonly stream: boolean },
  ): Promise<Response> {
    const { stop, tools, tool_choice: toolChoice, signal } = options;
    const conversation = options.conversation ?? this.conversation;
    const user = options.user ?? this.user;
    const body = {
      model: this.#connection.bot,
      messages: messages.map(toWireMessage),
      stream,
      ...(stream ? { stream_options: { include_usage: true } } : {}),
      ...(this.temperature === undefined ? {} : { temperature: this.temperature }),
      ...(this.maxTokens === undefined ? {} : { max_tokens: this.maxTokens }),
      ...(stop === undefined ? {} : { stop }),
      ...(user === undefined ? {} : { user }),
      ...(conversation === undefined ? {} : { conversation }),
      ...(tools === undefined || tools.length === 0 ? {} : { tools }),
      ...(toolChoice === undefined ? {} : { tool_choice: toWireChoice(toolChoice) }),
    };
    const call = { path: '/chat/completions', body, signal };
    return this.caller.callWithOptions({ ...(signal === undefined ? {} : { signal }) }, () =>
      callChatSphere(this.#connection, call),
    );
  }
}

function toWireChoice(choice: unknown): unknown {
  if (choice === 'any') return 'required';
  const isName = typeof choice === 'string' && !['auto', 'none', 'required'].includes(choice);
  return isName ? { type: 'function', function: { name: choice } } : choice;
}

function toolCallChunks(said: WireSaid | undefined) {
  return (said?.tool_calls ?? []).map(({ index, id, function: called }, position) => ({
    type: 'tool_call_chunk' as const,
    index: index ?? position,
    args: called?.arguments ?? '',
    ...(id === undefined ? {} : { id }),
    ...(called?.name === undefined ? {} : { name: called.name }),
  }));
}

/** Each thing once in a stream: LangChain.js joins what chunks say of the same name. */
function metadataOf(
  { model }: WireCompletion,
  said: WireSaid | undefined,
  finishReason: string | null | undefined,
): Record<string, unknown> {
  return {
    ...(typeof finishReason === 'string' ? { finish_reason: finishReason, model_name: model } : {}),
    ...(said?.chatsphere === undefined ? {} : { chatsphere: said.chatsphere }),
  };
}

function toUsage(usage: WireUsage): UsageMetadata {
  return {
    input_tokens: usage.prompt_tokens,
    output_tokens: usage.completion_tokens,
    total_tokens: usage.total_tokens,
  };
}

async function* empty(): AsyncGenerator<Uint8Array> {}
