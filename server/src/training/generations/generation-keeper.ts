import type { EmbeddingSpaces } from '../../embeddings/index.ts';
import type { Clock, IdMaker, Lifecycle, Logger } from '../../kernel/index.ts';
import { type Bot, everyItem, type Generation, type Store, type TenantRepositories } from '../../store/index.ts';
import { chunkingSignature, DEFAULT_CHUNKING } from '../chunking/strategies.ts';
import { keyOf } from './bot-indexes.ts';
import type { Generations } from './ports.ts';
import { startCompletion, startRemoval } from './swap.ts';

export interface GenerationKeeperOptions {
  readonly store: Pick<Store, 'forTenant' | 'tenants'>;
  readonly embedders: Pick<EmbeddingSpaces, 'own'>;
  readonly generations: Pick<Generations, 'completeAll'>;
  readonly announce: (jobId: string) => Promise<void>;
  readonly clock: Clock;
  readonly createId: IdMaker;
  readonly logger: Logger;
  /** How long a generation that is not used any more is kept, to go back to. Default 7 days. */
  readonly keptMs?: number;
  readonly roundMs?: number;
}

const HOUR_MS = 3_600_000;
const KEPT_MS = 7 * 24 * HOUR_MS;

/**
 * At the start, gives each bot that follows the server's settings a generation of what they say now, to be built while
 * the one before answers, and completes what was left unfinished. Every hour, lets those go that nobody went back to.
 */
export function createGenerationKeeper(options: GenerationKeeperOptions): Lifecycle {
  const { store, clock, createId, logger } = options;
  const stopping = new AbortController();
  let rounds: Promise<void> = Promise.resolve();

  async function round(): Promise<void> {
    for await (const { id } of everyItem((page) => store.tenants.list(page))) {
      if (stopping.signal.aborted) return;
      await keepTenant(id);
    }
  }

  async function keepTenant(tenantId: string): Promise<void> {
    const tenant = store.forTenant(tenantId);
    for (const active of await tenant.generations.ofTenant(['active'])) {
      if (stopping.signal.aborted) return;
      const bot = active.origin === 'server' ? await tenant.bots.get(active.botId) : null;
      const wanted = bot === null ? active : serverGeneration(active, bot, options);
      const job =
        keyOf(wanted) === keyOf(active)
          ? null
          : await tenant.transaction((repositories) => follow(repositories, wanted));
      if (job !== null) await options.announce(job);
      await options.generations.completeAll({ tenantId, botId: active.botId });
    }
    const keptSince = clock.now() - (options.keptMs ?? KEPT_MS);
    for (const old of await tenant.generations.ofTenant(['retired', 'failed', 'cancelled'])) {
      if (old.state.at >= keptSince) continue;
      const job = await tenant.transaction(async (repositories) => {
        const current = await repositories.generations.get(old.botId, old.id);
        if (current?.state.type !== old.state.type) return null;
        return startRemoval(repositories, current, { createId, now: clock.now() });
      });
      if (job !== null) await options.announce(job);
    }
  }

  /** Queues a generation of the server's settings, in place of others that were to follow. Returns its job. */
  async function follow(repositories: TenantRepositories, wanted: Generation): Promise<string | null> {
    const { generations } = repositories;
    const now = clock.now();
    const coming = await generations.inStates(wanted.botId, ['building', 'ready']);
    if (coming.some((one) => keyOf(one) === keyOf(wanted) || one.origin === 'bot')) return null;
    for (const one of coming) await startRemoval(repositories, one, { createId, now });
    await generations.create(wanted);
    return startCompletion(repositories, wanted, { createId, now });
  }

  return {
    name: 'generations',
    async start() {
      const safely = (): Promise<void> =>
        round().catch((error: unknown) =>
          logger.warn({ error }, 'Generations could not be looked after; will try again'),
        );
      await safely();
      rounds = (async () => {
        while (!stopping.signal.aborted) {
          await clock.sleep(options.roundMs ?? HOUR_MS, stopping.signal).catch(() => {});
          if (!stopping.signal.aborted) await safely();
        }
      })();
    },
    async stop() {
      stopping.abort();
      await rounds;
    },
  };
}

function serverGeneration(active: Generation, bot: Bot, options: GenerationKeeperOptions): Generation {
  const { profile } = options.embedders.own;
  const chunking = bot.chunking ?? DEFAULT_CHUNKING;
  const now = options.clock.now();
  return {
    ...active,
    id: options.createId('gen'),
    state: { type: 'building', at: now },
    embeddingModel: profile.id,
    embedderVersion: profile.version,
    dimensions: profile.dimensions,
    chunkSet: chunkingSignature(chunking),
    chunking,
    policy: 'if_not_worse',
    progress: { done: 0, total: 0 },
    comparison: null,
    jobId: null,
    createdAt: now,
    updatedAt: now,
  };
}
