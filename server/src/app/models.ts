import { createExtractiveChatModel, EXTRACTIVE_MODEL_ID } from '../adapters/extractive/index.ts';
import { LANGCHAIN_PROVIDER, type LangChain } from '../adapters/langchain/index.ts';
import type { AnsweringModel } from '../chat/index.ts';
import type { EmbeddingGenerator } from '../embeddings/index.ts';
import { AppError, type Clock, type Logger, type Meter } from '../kernel/index.ts';
import {
  type ChatModel,
  createExtractiveResort,
  createModelChain,
  createModelHealth,
  createModelRouter,
  createRotation,
  type ModelEntry,
  type ModelTarget,
  parseModelId,
  type Rotation,
  type TokenCounter,
} from '../llm/index.ts';
import type { CircuitStates } from '../resilience/index.ts';
import type { Bot, BotModel } from '../store/index.ts';
import type { Config } from './config.ts';
import type { ModelName } from './model-choice.ts';
import { fingerprintOf } from './model-keys.ts';
import type { Providers } from './providers.ts';

export interface ModelParts {
  readonly config: Config;
  readonly langChain: LangChain;
  readonly providers: Providers;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
  readonly embeddings: EmbeddingGenerator;
  readonly circuitStates: CircuitStates;
  readonly counter: TokenCounter;
}

/** What a bot says of its models. */
export type BotModels = Pick<Bot, 'model' | 'models'>;

/** Kept, the newest of them; a bot that changes its models often leaves old ones behind. */
const MOST_CHAINS = 500;

/** A client whose models all fail is to know within about a second. */
const RETRIES = { budget: 2, baseDelayMs: 100, maxDelayMs: 1000, patienceMs: 1000 };

/** Makes the chain of models of a bot: its own list, else its model or the server's and the server's fallbacks. */
export function createModelChooser(parts: ModelParts): (bot: BotModels) => AnsweringModel {
  const { config, clock, logger, meter, counter } = parts;
  const health = createModelHealth({ states: parts.circuitStates, clock, logger, meter });
  const { targetsOf, rotationOf, extractive } = createTargets(parts);
  const made = new Map<string, AnsweringModel>();

  function entryOf({ model, rank, weight, keys, cheaper = false }: BotModel): ModelEntry {
    const name = parseModelId(model, 'openai');
    const all = targetsOf(name);
    if (keys === undefined) return { rank, weight, cheaper, targets: all, keys: rotationOf(name.provider, all.length) };
    const targets = keys.map(({ key }) => all[key - 1]).filter((target) => target !== undefined);
    if (targets.length < keys.length) throw noSuchKey(name.provider, all.length);
    const weights = keys.map((key) => key.weight);
    return { rank, weight, cheaper, targets, keys: createRotation(weights, Math.random) };
  }

  return (bot) => {
    const list = modelsOf(bot, config);
    const signature = JSON.stringify(list);
    const known = made.get(signature);
    if (known !== undefined) return known;
    const entries = list.map(entryOf);
    const answering = {
      caller: createModelRouter({
        ...{ health, counter, clock, logger, meter, random: Math.random, retries: RETRIES },
        chain: createModelChain(entries, Math.random),
        deadlines: config.deadlines,
        hedgeAfter: config.hedgeAfter,
        lastResorts: [createExtractiveResort(extractive())],
      }),
      readsPrompts: list[0]?.model !== EXTRACTIVE_MODEL_ID,
      route: [
        ...new Set([...list].sort((a, b) => a.rank - b.rank).map(({ model }) => idOf(parseModelId(model, 'openai')))),
      ],
    };
    made.set(signature, answering);
    if (made.size > MOST_CHAINS) made.delete(made.keys().next().value ?? signature);
    return answering;
  };
}

/** One's own list is taken as it is; whoever chose the local model wants no provider to read along. */
function modelsOf({ model, models }: BotModels, config: Config): readonly BotModel[] {
  if (models !== undefined && models !== null && models.length > 0) return models;
  const first = model === null ? config.chatModel : parseModelId(model, 'openai');
  const staysHere = idOf(first) === EXTRACTIVE_MODEL_ID;
  const usual = new Set((staysHere ? [first] : [first, ...config.chatModelFallbacks]).map(idOf));
  const names = [...new Set([...usual, ...(staysHere ? [] : config.chatModelCheaper.map(idOf))])];
  return names.map((id, rank) => ({ model: id, rank, weight: 1, ...(usual.has(id) ? {} : { cheaper: true }) }));
}

function idOf({ provider, model }: ModelName): string {
  return `${provider}/${model}`;
}

/** The models that can be called, each made once under each key. */
function createTargets(parts: ModelParts) {
  const { providers, langChain, embeddings, counter } = parts;
  const targets = new Map<string, readonly ModelTarget[]>();
  const rotations = new Map<string, Rotation>();

  function extractive(): ChatModel {
    // Sentences are weighed by meaning only where that costs neither money nor a call.
    const embed = async (texts: readonly string[], purpose: 'query' | 'document') =>
      (await embeddings.embed(texts, { purpose })).vectors;
    return createExtractiveChatModel({ counter, ...(embeddings.profile.id === 'local/static-en' ? { embed } : {}) });
  }

  function make(name: ModelName): readonly ModelTarget[] {
    const { provider, model } = name;
    if (idOf(name) === EXTRACTIVE_MODEL_ID) return [{ model: extractive(), keyFingerprint: null }];
    if (provider === LANGCHAIN_PROVIDER) return [{ model: langChain.createChatModel(model), keyFingerprint: null }];
    const apiKeys = providers.settings.get(provider)?.apiKeys ?? [];
    return (apiKeys.length === 0 ? [null] : apiKeys).map((apiKey) => ({
      model: providers.createProviderModel({ provider, model, apiKey }),
      keyFingerprint: fingerprintOf(apiKey),
    }));
  }

  return {
    extractive,
    targetsOf(name: ModelName): readonly ModelTarget[] {
      const id = idOf(name);
      const known = targets.get(id) ?? make(name);
      targets.set(id, known);
      if (targets.size > MOST_CHAINS) targets.delete(targets.keys().next().value ?? id);
      return known;
    },
    /** Shared by all models of a provider, so that its keys take turns whatever they are used for. */
    rotationOf(provider: string, keys: number): Rotation {
      const known = rotations.get(`${provider} ${keys}`) ?? createRotation(Array(keys).fill(1), Math.random);
      rotations.set(`${provider} ${keys}`, known);
      return known;
    },
  };
}

function noSuchKey(provider: string, keys: number): AppError {
  return new AppError(
    'invalid_request',
    `models: The server has ${keys} key(s) of ${provider}: number them from 1 to ${keys}, or leave keys out.`,
    { param: 'models' },
  );
}
