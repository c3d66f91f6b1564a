import type { EmbeddingSpaces } from '../../embeddings/index.ts';
import type { Clock, IdMaker, Lifecycle, Logger } from '../../kernel/index.ts';
import {
  type Bot,
  everyItem,
  everyPage,
  type Generation,
  type Store,
  type TenantRepositories,
  type TenantStore,
} from '../../store/index.ts';
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

/** Generations that are completed. */
const LIVE = ['active', 'building', 'ready', 'retired'] as const;
/** Generations that go after a while. */
const OVER = ['retired', 'failed', 'cancelled'] as const;
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
    const { bots } = store.forTenant(tenantId);
    for await (const page of everyPage((request) => bots.list(request))) {
      if (stopping.signal.aborted) return;
      await keepBots(tenantId, new Map(page.map((bot) => [bot.id, bot])));
    }
  }

  /** A few statements for many bots, nearly all of which need nothing. */
  async function keepBots(tenantId: string, bots: ReadonlyMap<string, Bot>): Promise<void> {
    const tenant = store.forTenant(tenantId);
    const known = await tenant.generations.ofBots([...bots.keys()], [...LIVE, ...OVER]);
    for (const active of known.filter(({ state }) => state.type === 'active')) {
      const bot = active.origin === 'server' ? bots.get(active.botId) : undefined;
      const wanted = bot === undefined ? active : serverGeneration(active, bot, options);
      if (keyOf(wanted) === keyOf(active)) continue;
      const job = await tenant.transaction((repositories) => follow(repositories, wanted));
      if (job !== null) await options.announce(job);
    }
    for (const botId of await unfinishedOf(tenant, known)) {
      if (stopping.signal.aborted) return;
      await options.generations.completeAll({ tenantId, botId });
    }
    await letGo(tenant, known);
  }

  /** Bots of which a generation is being built, or lacks something that others have brought since. */
  async function unfinishedOf(tenant: TenantStore, known: readonly Generation[]): Promise<ReadonlySet<string>> {
    const live = known.filter(({ state }) => LIVE.some((type) => type === state.type));
    const answering = new Set(live.filter(({ state }) => state.type === 'active').map(({ botId }) => botId));
    const unfinished = new Set<string>();
    const byKey = new Map<string, string[]>();
    for (const generation of live.filter(({ botId }) => answering.has(botId))) {
      if (generation.state.type === 'building') unfinished.add(generation.botId);
      byKey.set(keyOf(generation), [...(byKey.get(keyOf(generation)) ?? []), generation.botId]);
    }
    for (const [key, botIds] of byKey) {
      for (const botId of await tenant.generations.lacking(botIds, key)) unfinished.add(botId);
    }
    return unfinished;
  }

  async function letGo(tenant: TenantStore, known: readonly Generation[]): Promise<void> {
    const keptSince = clock.now() - (options.keptMs ?? KEPT_MS);
    for (const old of known.filter(({ state }) => OVER.some((type) => type === state.type))) {
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
