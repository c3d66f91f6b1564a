import type { SearchSpaces } from '../chat/index.ts';
import { createEmbeddingGenerator, type Embedder, type EmbeddingGenerator } from '../embeddings/index.ts';
import { createJobRunner, type JobEvents, type JobHandler, type JobTransport } from '../jobs/index.ts';
import type { Clock, IdMaker, Lifecycle, Logger, Meter } from '../kernel/index.ts';
import { type BotKey, indexKey, indexParts, type Store } from '../store/index.ts';
import { type BotIndexes, createFollower, createTrainingActivity } from '../training/index.ts';
import { type VectorStore, withLinkedGenerations } from '../vector-store/index.ts';
import { spaceOf } from './search-spaces.ts';

/** Measured (research: BM25 .5, both spaces .25 each; the optimum is flat). */
const WEIGHT_OF_EACH = 0.25;
/** A model that must be loaded first, or is busy, is left out of this one search. */
const PATIENCE_MS = 120;

export interface FollowingOptions {
  readonly store: Store;
  /** The embedder that training waits for. */
  readonly embeddings: EmbeddingGenerator;
  readonly indexes: Pick<BotIndexes, 'answering'>;
  /** The one that follows it; null: none does. */
  readonly embedder: Embedder | null;
  readonly vectors: VectorStore;
  readonly transport: JobTransport;
  readonly events: JobEvents;
  readonly clock: Clock;
  readonly createId: IdMaker;
  readonly logger: Logger;
  readonly meter: Meter;
  /** This process, as leases name it. */
  readonly worker: { readonly owner: string; readonly host: string; readonly pid: number };
}

/** What the rest of the house sees of the second space of vectors. */
export interface Following {
  /** The vectors of both spaces: what is deleted goes from both. */
  readonly vectors: VectorStore;
  readonly spaces: SearchSpaces;
  /** What makes the vectors of the second space, in a process that runs jobs. */
  composeWorker(): FollowingWorker;
}

export interface FollowingWorker {
  /** To be put around the handler of training. */
  watched(handler: JobHandler): JobHandler;
  /** To be started behind the runner of training. */
  readonly parts: readonly Lifecycle[];
}

/** A second, slower embedder behind the one that training waits for, or nothing in its place. */
export function composeFollowing(options: FollowingOptions): Following {
  const { embeddings, embedder, transport, clock, logger, meter, indexes } = options;
  if (embedder === null) {
    const alone: SearchSpaces = {
      of: async ({ tenantId, id }) => [spaceOf(await indexes.answering({ tenantId, botId: id }))],
    };
    const composeWorker = (): FollowingWorker => ({ watched: (handler) => handler, parts: [] });
    return { vectors: options.vectors, spaces: alone, composeWorker };
  }
  const following = createEmbeddingGenerator({ embedder, clock, logger, meter, random: Math.random });
  const keyBehind = (key: string): string => indexKey({ ...indexParts(key), space: following.generation });
  const vectors = withLinkedGenerations(options.vectors, (key) => [keyBehind(key)]);

  /** The index of the bot's following vectors: of the chunks that answer. Null behind an embedder that it does not follow. */
  async function generationOf(bot: BotKey): Promise<string | null> {
    const { key } = await indexes.answering(bot);
    return indexParts(key).space === embeddings.generation ? keyBehind(key) : null;
  }

  const activity = createTrainingActivity(clock);
  const follower = createFollower({
    ...options,
    embeddings: following,
    generationOf,
    vectors,
    activity,
    announce: (jobId) => transport.announce(jobId),
  });
  function composeWorker(): FollowingWorker {
    const runner = createJobRunner({
      ...options,
      ...options.worker,
      owner: `${options.worker.owner}:follow`,
      handlers: [follower.handler],
      concurrency: 1,
    });
    return {
      watched: (handler) => activity.watched(handler, follower),
      parts: [{ ...runner, name: 'follow job runner' }, follower],
    };
  }

  return {
    vectors,
    spaces: {
      async of({ tenantId, id }) {
        const bot = { tenantId, botId: id };
        const index = await indexes.answering(bot);
        const isFollowed = indexParts(index.key).space === embeddings.generation && (await follower.hasVectors(bot));
        if (!isFollowed) return [spaceOf(index)];
        const { profile } = following;
        const second = { profile, generation: keyBehind(index.key), embed: following.embed };
        return [
          { embeddings: index.embeddings, weight: WEIGHT_OF_EACH },
          { embeddings: second, weight: WEIGHT_OF_EACH, patienceMs: PATIENCE_MS },
        ];
      },
    },
    composeWorker,
  };
}
