import type { EmbeddingGenerator } from '../../embeddings/index.ts';
import type { JobHandler } from '../../jobs/index.ts';
import { type Clock, type IdMaker, type Lifecycle, type Logger, toAppError } from '../../kernel/index.ts';
import { everyItem, everyPage, type Store } from '../../store/index.ts';
import type { Namespace, VectorStore } from '../../vector-store/index.ts';
import { FOLLOW_KIND, FOLLOW_STAGE, newFollowJob } from './follow-job.ts';
import { createFollowStage, inheritVectors } from './follow-stage.ts';
import type { TrainingActivity, TrainingWatcher } from './training-activity.ts';

export interface FollowerOptions {
  readonly store: Pick<Store, 'forTenant' | 'tenants'>;
  readonly embeddings: Pick<EmbeddingGenerator, 'profile' | 'generation' | 'embed'>;
  /** The index that a bot's following vectors are for; null: they are not wanted. Default: that of the embedder. */
  readonly generationOf?: (bot: BotKey) => Promise<string | null>;
  readonly vectors: Pick<VectorStore, 'upsert' | 'deleteDocuments'>;
  readonly activity: Pick<TrainingActivity, 'quiet'>;
  readonly announce: (jobId: string) => Promise<void>;
  readonly clock: Clock;
  readonly createId: IdMaker;
  readonly logger: Logger;
}

type BotKey = Pick<Namespace, 'tenantId' | 'botId'>;

/** Completes a second, slower space of vectors behind training, which it watches. */
export interface Follower extends Lifecycle, TrainingWatcher {
  /** Runs the `follow` jobs. They belong to a runner of their own, so that they never take the place of training. */
  readonly handler: JobHandler;
  /** Whether the bot has vectors in the following space, so that a query is worth embedding for it. */
  hasVectors(bot: BotKey): Promise<boolean>;
}

/** How long "this bot has none" is believed. */
const NONE_FOR_MS = 10_000;

/**
 * At most one queued job a bot: it is made with the first source that was trained, and waits until training is quiet.
 * At the start, bots whose vectors are incomplete get one.
 */
export function createFollower(options: FollowerOptions): Follower {
  const { store, clock, logger } = options;
  const { generation } = options.embeddings;
  /** Ids of jobs that were queued here, by bot. Another process may run them. */
  const queued = new Map<string, string>();
  const withVectors = new Set<string>();
  const withoutVectorsUntil = new Map<string, number>();
  const stopping = new AbortController();
  let work: Promise<unknown> = Promise.resolve();

  function enqueue({ tenantId, botId }: BotKey): void {
    if (stopping.signal.aborted) return;
    const key = keyOf({ tenantId, botId });
    work = work.then(async () => {
      try {
        const { jobs } = store.forTenant(tenantId);
        const known = queued.get(key);
        if (known !== undefined && (await jobs.get(known))?.state === 'queued') return;
        const job = newFollowJob(botId, { createId: options.createId, now: clock.now() });
        queued.set(key, job.id);
        await jobs.create(job);
        await options.announce(job.id);
      } catch (error) {
        queued.delete(key);
        logger.warn({ bot: botId, code: toAppError(error).code, err: error }, 'Vectors that follow were not queued');
      }
    });
  }

  async function enqueueIncomplete(): Promise<void> {
    for await (const { id: tenantId } of everyItem((page) => store.tenants.list(page))) {
      const { bots, generations } = store.forTenant(tenantId);
      // A page at a time: nearly all lack nothing, so that a statement for each is too much where it travels to a server.
      for await (const page of everyPage((request) => bots.list(request))) {
        if (stopping.signal.aborted) return;
        const ids = page.map(({ id }) => id);
        for (const botId of await generations.lacking(ids, generation)) enqueue({ tenantId, botId });
      }
    }
  }

  async function hasVectors(bot: BotKey): Promise<boolean> {
    const key = keyOf(bot);
    if (withVectors.has(key)) return true;
    if ((withoutVectorsUntil.get(key) ?? 0) > clock.now()) return false;
    const found = await store.forTenant(bot.tenantId).chunks.hasVectors(bot.botId, generation);
    if (found) withVectors.add(key);
    else withoutVectorsUntil.set(key, clock.now() + NONE_FOR_MS);
    return found;
  }

  const following = createFollowStage(options, (bot) => {
    queued.delete(keyOf(bot));
    withoutVectorsUntil.delete(keyOf(bot));
  });
  return {
    name: 'follower',
    handler: {
      kind: FOLLOW_KIND,
      firstStage: FOLLOW_STAGE,
      stages: { [FOLLOW_STAGE]: following },
      async onFailed({ tenantId, botId }) {
        if (botId !== null) queued.delete(keyOf({ tenantId, botId }));
      },
    },
    async onEmbedding(context) {
      const { tenantId, botId, id } = context.job;
      try {
        if (botId !== null && (await hasVectors({ tenantId, botId }))) await inheritVectors(context, options);
      } catch (error) {
        // The model makes them again, and a lost lease ends the stage itself.
        logger.info(
          { job: id, code: toAppError(error).code, err: error },
          'Vectors of equal chunks were not taken over',
        );
      }
    },
    onTrained({ tenantId, botId }) {
      if (botId !== null) enqueue({ tenantId, botId });
    },
    hasVectors,
    async start() {
      work = enqueueIncomplete().catch((error: unknown) => {
        logger.warn({ code: toAppError(error).code, err: error }, 'Incomplete vectors were not looked for');
      });
    },
    async stop() {
      stopping.abort();
      await work;
    },
  };
}

function keyOf({ tenantId, botId }: BotKey): string {
  return `${tenantId}/${botId}`;
}
