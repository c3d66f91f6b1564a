import type { SearchSpaces } from '../chat/index.ts';
import { createEmbeddingGenerator, type Embedder, type EmbeddingGenerator } from '../embeddings/index.ts';
import { createJobRunner, type JobEvents, type JobHandler, type JobTransport } from '../jobs/index.ts';
import type { Clock, IdMaker, Lifecycle, Logger, Meter } from '../kernel/index.ts';
import type { Store } from '../store/index.ts';
import { createFollower, createTrainingActivity } from '../training/index.ts';
import { type VectorStore, withLinkedGenerations } from '../vector-store/index.ts';

/** Measured (research: BM25 .5, both spaces .25 each; the optimum is flat). */
const WEIGHT_OF_EACH = 0.25;
/** A model that must be loaded first, or is busy, is left out of this one search. */
const PATIENCE_MS = 120;

export interface FollowingOptions {
  readonly store: Store;
  /** The embedder that training waits for. */
  readonly embeddings: EmbeddingGenerator;
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
  /** To be put around the handler of training. */
  watched(handler: JobHandler): JobHandler;
  /** To be started behind the runner of training. */
  readonly parts: readonly Lifecycle[];
}

/** A second, slower embedder behind the one that training waits for, or nothing in its place. */
export function composeFollowing(options: FollowingOptions): Following {
  const { embeddings, embedder, transport, clock, logger, meter } = options;
  const alone = [{ embeddings, weight: embeddings.profile.fusionWeight }];
  if (embedder === null) {
    return { vectors: options.vectors, spaces: { of: async () => alone }, watched: (handler) => handler, parts: [] };
  }
  const following = createEmbeddingGenerator({ embedder, clock, logger, meter, random: Math.random });
  const vectors = withLinkedGenerations(options.vectors, [following.generation]);
  const activity = createTrainingActivity(clock);
  const follower = createFollower({
    ...options,
    embeddings: following,
    vectors,
    activity,
    announce: (jobId) => transport.announce(jobId),
  });
  const both = [
    { embeddings, weight: WEIGHT_OF_EACH },
    { embeddings: following, weight: WEIGHT_OF_EACH, patienceMs: PATIENCE_MS },
  ];
  const runner = createJobRunner({
    ...options,
    ...options.worker,
    owner: `${options.worker.owner}:follow`,
    handlers: [follower.handler],
    concurrency: 1,
  });
  return {
    vectors,
    spaces: {
      of: async ({ tenantId, id }) => ((await follower.hasVectors({ tenantId, botId: id })) ? both : alone),
    },
    watched: (handler) => activity.watched(handler, follower),
    parts: [{ ...runner, name: 'follow job runner' }, follower],
  };
}
