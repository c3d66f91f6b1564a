import {
  type EmbeddingCall,
  type EmbeddingGenerator,
  type EmbeddingSpaces,
  spaceName,
} from '../../embeddings/index.ts';
import { AppError, type Clock, type IdMaker } from '../../kernel/index.ts';
import { type BotKey, type Generation, indexKey, type Store } from '../../store/index.ts';
import { chunkingSignature, DEFAULT_CHUNKING } from '../chunking/strategies.ts';
import type { BotIndex, BotIndexes } from './ports.ts';

export interface BotIndexesOptions {
  readonly store: Pick<Store, 'forTenant'>;
  readonly embedders: Pick<EmbeddingSpaces, 'own' | 'find'>;
  readonly clock: Clock;
  readonly createId: IdMaker;
  /** Told of every call to a remote embedder that training makes for the bot. Must not throw. */
  readonly onEmbedding?: (bot: BotKey, call: EmbeddingCall) => void;
}

/** Generations that hold content. */
const LIVE = ['building', 'ready', 'active', 'retired'] as const;

/** Which index of a bot is for what, read from the store each time: a swap takes effect with its transaction. */
export function createBotIndexes(options: BotIndexesOptions): BotIndexes {
  const { store, embedders } = options;

  async function of(generation: Generation): Promise<BotIndex> {
    const key = keyOf(generation);
    const { embeddingModel: id, embedderVersion: version, dimensions } = generation;
    const found = await embedders.find({ id, version, dimensions });
    const embeddings = found === null ? missingEmbedder(generation) : indexed(found, key, callsOf(generation));
    return { generation, key, embeddings, available: found !== null };
  }

  function callsOf({ tenantId, botId }: Generation): ((call: EmbeddingCall) => void) | undefined {
    const { onEmbedding } = options;
    return onEmbedding === undefined ? undefined : (call) => onEmbedding({ tenantId, botId }, call);
  }

  /** What a bot begins with. */
  async function first({ tenantId, botId }: BotKey): Promise<Generation> {
    const chunking = (await store.forTenant(tenantId).bots.get(botId))?.chunking ?? DEFAULT_CHUNKING;
    const { profile } = embedders.own;
    const now = options.clock.now();
    return {
      id: options.createId('gen'),
      tenantId,
      botId,
      state: { type: 'active', at: now },
      embeddingModel: profile.id,
      embedderVersion: profile.version,
      dimensions: profile.dimensions,
      chunkSet: chunkingSignature(chunking),
      chunking,
      origin: 'server',
      policy: 'if_not_worse',
      progress: { done: 0, total: 0 },
      comparison: null,
      jobId: null,
      createdAt: now,
      updatedAt: now,
    };
  }

  async function activeOrNew(bot: BotKey): Promise<Generation> {
    const { generations } = store.forTenant(bot.tenantId);
    const active = await generations.active(bot.botId);
    if (active !== null) return active;
    const generation = await first(bot);
    try {
      await generations.create(generation);
      return generation;
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'generation_busy') throw error;
      // Another job made it at the same moment; only a transaction is sure to come after that one's.
      const made = await store.forTenant(bot.tenantId).transaction((inside) => inside.generations.active(bot.botId));
      if (made === null) throw error;
      return made;
    }
  }

  return {
    of,
    async answering(bot) {
      return of((await store.forTenant(bot.tenantId).generations.active(bot.botId)) ?? (await first(bot)));
    },
    async training(bot) {
      const answering = await of(await activeOrNew(bot));
      const answeringId = answering.generation.id;
      if (answering.available) return { ...answering, answeringId };
      const next = await store.forTenant(bot.tenantId).generations.inStates(bot.botId, ['building', 'ready']);
      const followers = await Promise.all(next.map(of));
      return { ...(followers.find((index) => index.available) ?? answering), answeringId };
    },
    async keys(bot) {
      const live = await store.forTenant(bot.tenantId).generations.inStates(bot.botId, LIVE);
      return live.map(keyOf);
    },
  };
}

/** The index key of a generation. */
export function keyOf(
  generation: Pick<Generation, 'embeddingModel' | 'embedderVersion' | 'dimensions' | 'chunkSet'>,
): string {
  const { embeddingModel: id, embedderVersion: version, dimensions, chunkSet } = generation;
  return indexKey({ space: spaceName({ id, version, dimensions }), chunkSet });
}

/** `onCall` is told of the calls for documents: searches tell of theirs themselves. */
function indexed(
  embeddings: EmbeddingGenerator,
  generation: string,
  onCall: ((call: EmbeddingCall) => void) | undefined,
): BotIndex['embeddings'] {
  const { profile } = embeddings;
  const isTold = onCall !== undefined && !profile.local;
  return {
    profile,
    generation,
    embed: (texts, request) =>
      embeddings.embed(texts, isTold && request.purpose === 'document' ? { onCall, ...request } : request),
  };
}

/** Stands in for an embedder that cannot be had. */
function missingEmbedder(generation: Generation): BotIndex['embeddings'] {
  const { embeddingModel: id, embedderVersion: version, dimensions } = generation;
  const profile = { id, version, dimensions, maxTextsPerCall: 1, maxConcurrentCalls: 1, fusionWeight: 0, window: null };
  return {
    profile: { ...profile, local: true },
    generation: keyOf(generation),
    embed: async () => {
      throw new AppError(
        'embedding_failed',
        `The embedder ${spaceName({ id, version, dimensions })} is not available on this server. Set the key of its provider, or build a generation with another: POST /v1/bots/{bot}/generations.`,
      );
    },
  };
}
