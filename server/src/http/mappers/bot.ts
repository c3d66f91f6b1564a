import { templateOf } from '../../chat/index.ts';
import type { Bot, BotSettings, Generation, RetrievalSettings } from '../../store/index.ts';
import type { BotChangesBody, WireBot } from '../contract/index.ts';
import { botModelsOf, toWireModels } from './bot-models.ts';
import { chunkingOf, toWireChunking } from './chunking.ts';
import { toSeconds } from './time.ts';

/** `generation`: the one that answers, null before the first training; then the bot will have what the server is set to. */
export function toWireBot(
  bot: Bot,
  { generation, embeddingModel }: { readonly generation: Generation | null; readonly embeddingModel: string },
): WireBot {
  return {
    id: bot.id,
    object: 'bot',
    name: bot.name,
    slug: bot.slug,
    instructions: bot.instructions,
    model: bot.model,
    models: toWireModels(bot.models),
    temperature: bot.temperature,
    max_output_tokens: bot.maxOutputTokens,
    refusal_message: bot.refusalMessage,
    retrieval: toWireRetrieval(bot.retrieval),
    privacy: { pii: bot.privacy.pii },
    metadata: { ...bot.metadata },
    prompt: bot.prompt ?? null,
    prompt_version: templateOf(bot).version,
    embedding_model: generation?.embeddingModel ?? embeddingModel,
    chunking_strategy: toWireChunking(bot.chunking ?? generation?.chunking ?? { type: 'auto' }),
    generation: generation?.id ?? null,
    created_at: toSeconds(bot.createdAt),
    updated_at: toSeconds(bot.updatedAt),
  };
}

function toWireRetrieval(retrieval: RetrievalSettings): WireBot['retrieval'] {
  const { maxNumResults, maxContextTokens, scoreThreshold, hybrid } = retrieval;
  return {
    ...(maxNumResults === undefined ? {} : { max_num_results: maxNumResults }),
    ...(maxContextTokens === undefined ? {} : { max_context_tokens: maxContextTokens }),
    ...(scoreThreshold === undefined ? {} : { score_threshold: scoreThreshold }),
    ...(hybrid === undefined
      ? {}
      : { hybrid: { embedding_weight: hybrid.embeddingWeight, text_weight: hybrid.textWeight } }),
  };
}

/** The settings that a request names, and only those. */
export function botSettingsOf(
  body: Omit<BotChangesBody, 'prompt'> & Partial<Pick<Bot, 'prompt'>>,
  chunkingModules?: readonly string[],
): Partial<BotSettings> {
  return {
    ...(body.instructions === undefined ? {} : { instructions: body.instructions }),
    ...botModelsOf(body),
    ...(body.temperature === undefined ? {} : { temperature: body.temperature }),
    ...(body.max_output_tokens === undefined ? {} : { maxOutputTokens: body.max_output_tokens }),
    ...(body.refusal_message === undefined ? {} : { refusalMessage: body.refusal_message }),
    ...(body.retrieval === undefined ? {} : { retrieval: retrievalOf(body.retrieval) }),
    ...(body.privacy === undefined ? {} : { privacy: body.privacy }),
    ...(body.metadata === undefined ? {} : { metadata: body.metadata }),
    ...(body.prompt === undefined ? {} : { prompt: body.prompt }),
    ...(body.chunking_strategy === undefined
      ? {}
      : { chunking: body.chunking_strategy && chunkingOf(body.chunking_strategy, chunkingModules) }),
  };
}

function retrievalOf(body: NonNullable<BotChangesBody['retrieval']>): RetrievalSettings {
  return {
    ...(body.max_num_results === undefined ? {} : { maxNumResults: body.max_num_results }),
    ...(body.max_context_tokens === undefined ? {} : { maxContextTokens: body.max_context_tokens }),
    ...(body.score_threshold === undefined ? {} : { scoreThreshold: body.score_threshold }),
    ...(body.hybrid === undefined ? {} : { hybrid: toHybrid(body.hybrid) }),
  };
}

export function toHybrid(body: { readonly embedding_weight: number; readonly text_weight: number }) {
  return { embeddingWeight: body.embedding_weight, textWeight: body.text_weight };
}
