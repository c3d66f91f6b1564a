import { createExtractiveChatModel, EXTRACTIVE_MODEL_ID } from '../adapters/extractive/index.ts';
import { LANGCHAIN_PROVIDER, type LangChain } from '../adapters/langchain/index.ts';
import { createOpenAiChatModel } from '../adapters/openai/index.ts';
import type { AnsweringModel } from '../chat/index.ts';
import type { EmbeddingGenerator } from '../embeddings/index.ts';
import { AppError, type Clock, type Logger, type Meter } from '../kernel/index.ts';
import { type ChatModel, createModelCaller, parseModelId, type TokenCounter } from '../llm/index.ts';
import type { Config } from './config.ts';

interface ModelParts {
  readonly config: Config;
  readonly langChain: LangChain;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
}

/** Chooses the model for a bot: its own, else the server's. Each is made once. */
export function createModelChooser(
  parts: ModelParts & { readonly embeddings: EmbeddingGenerator; readonly counter: TokenCounter },
): (id: string | null) => AnsweringModel {
  const { config } = parts;
  const made = new Map<string, AnsweringModel>();
  return (id) => {
    const { provider, model: name } = id === null ? config.chatModel : parseModelId(id, 'openai');
    const key = `${provider}/${name}`;
    const known = made.get(key);
    if (known !== undefined) return known;
    const model = createChatModel(parts, { provider, name });
    const answering = {
      caller: createModelCaller({
        model,
        deadlines: config.deadlines,
        retries: { attempts: 3, baseDelayMs: 250, maxDelayMs: 4000 },
        counter: parts.counter,
        clock: parts.clock,
        logger: parts.logger,
        meter: parts.meter,
      }),
      readsPrompts: model.id !== EXTRACTIVE_MODEL_ID,
    };
    made.set(key, answering);
    return answering;
  };
}

function createChatModel(
  {
    config,
    langChain,
    embeddings,
    counter,
  }: ModelParts & { readonly embeddings: EmbeddingGenerator; readonly counter: TokenCounter },
  { provider, name }: { readonly provider: string; readonly name: string },
): ChatModel {
  if (`${provider}/${name}` === EXTRACTIVE_MODEL_ID) {
    // Sentences are weighed by meaning only where that costs neither money nor a call.
    const embed = async (texts: readonly string[], purpose: 'query' | 'document') =>
      (await embeddings.embed(texts, { purpose })).vectors;
    return createExtractiveChatModel({ counter, ...(embeddings.profile.id === 'local/static-en' ? { embed } : {}) });
  }
  if (provider === LANGCHAIN_PROVIDER) return langChain.createChatModel(name);
  const reachable = config.openAi.apiKey !== null || config.chatModel.provider === 'openai';
  if (provider === 'openai' && reachable) {
    return createOpenAiChatModel({ ...config.openAi, connectTimeoutMs: config.deadlines.connectMs, model: name });
  }
  throw new AppError(
    'model_not_found',
    `The model "${provider}/${name}" is not configured on this server. Change the bot's model, or set the key of its provider.`,
    { param: 'model' },
  );
}
