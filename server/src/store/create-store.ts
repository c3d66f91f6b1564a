import { randomUUID } from 'node:crypto';
import { type Kysely, sql } from 'kysely';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../kernel/index.ts';
import { createApiKeyRepository } from './api-keys.ts';
import { createBotRepository } from './bots.ts';
import { createChunkRepository } from './chunks.ts';
import { createConversationRepository } from './conversations.ts';
import { createDocumentRepository } from './documents.ts';
import { createGenerationRepository } from './generations.ts';
import { createGoldenQuestionRepository } from './golden-questions.ts';
import { createIdempotencyRepository } from './idempotency.ts';
import { createJobRepository, requireLease } from './jobs.ts';
import { createKeptBots } from './kept-bots.ts';
import { createMessageRepository } from './messages.ts';
import { migrate } from './migrations.ts';
import type { Store, TenantRepositories, TenantStore } from './ports.ts';
import { createPromptVersionRepository } from './prompt-versions.ts';
import type { Schema } from './schema.ts';
import { createSourcePageRepository } from './source-pages.ts';
import { createSourceRepository } from './sources.ts';
import type { SqlDialect } from './sql-dialect.ts';
import { createSyncRunRepository } from './sync-runs.ts';
import { createSystemStore } from './system-store.ts';
import { createTenantScope, type TenantScope } from './tenant-scope.ts';
import { createTenantRepository } from './tenants.ts';
import { refuseUnfinishedCopy } from './transfer/index.ts';
import { createUsageRepository } from './usage.ts';
import type { WriteWatch } from './write-watch.ts';

/** They hold nothing but their tenant's id; making one takes longer than most reads. */
const MOST_TENANT_STORES = 1_000;

export interface StoreOptions {
  /** Opens its connections on first use; `stop` destroys it, so a stopped store cannot be started again. */
  readonly database: Kysely<Schema>;
  /**
   * The same database for work under a lease and its book-keeping. A commit here need not be synced to disk by itself, as
   * long as writes keep their order. Such writes survive the death of the process, but a loss of power may undo the latest
   * of them, in order: the job's row goes back with what the job has written, and that work is done again. Who was told of
   * it already (a source that is ready, a job that ended) then sees it happen once more.
   */
  readonly background: Kysely<Schema>;
  /** The same two for the statements of one tenant, where the engine itself keeps tenants apart. Must be cheap to ask for. */
  ofTenant?(tenantId: string): Pick<StoreOptions, 'database' | 'background'>;
  /** The same database for migrations, which may take long; else `database`. */
  readonly migrating?: Kysely<Schema>;
  readonly dialect: SqlDialect;
  readonly clock: Pick<Clock, 'now'>;
  /** Knows of every write of this process, when no other writes to the database; else nothing is kept in memory. */
  readonly writes?: WriteWatch;
}

/** The store over a SQL database. */
export function createStore(options: StoreOptions): Store {
  const { database, background, dialect, clock, writes } = options;
  const processId = randomUUID();
  const keptBots = writes === undefined ? null : createKeptBots(writes);

  function repositoriesIn(scope: TenantScope): TenantRepositories {
    return {
      bots: createBotRepository(scope),
      sources: createSourceRepository(scope, clock.now),
      pages: createSourcePageRepository(scope),
      documents: createDocumentRepository(scope, clock.now),
      syncRuns: createSyncRunRepository(scope),
      chunks: createChunkRepository(scope),
      generations: createGenerationRepository(scope),
      goldenQuestions: createGoldenQuestionRepository(scope),
      promptVersions: createPromptVersionRepository(scope),
      jobs: createJobRepository(scope),
      conversations: createConversationRepository(scope),
      messages: createMessageRepository(scope),
      apiKeys: createApiKeyRepository(scope),
      usage: createUsageRepository(scope),
      idempotency: createIdempotencyRepository(scope, processId),
    };
  }

  const tenantStores = new LRUCache<string, TenantStore>({ max: MOST_TENANT_STORES });

  function forTenant(tenantId: string): TenantStore {
    const known = tenantStores.get(tenantId);
    if (known !== undefined) return known;
    const made = openTenant(tenantId);
    tenantStores.set(tenantId, made);
    return made;
  }

  function openTenant(tenantId: string): TenantStore {
    const own = options.ofTenant?.(tenantId) ?? options;
    const scope = createTenantScope(own.database, dialect, tenantId);
    const backgroundScope = createTenantScope(own.background, dialect, tenantId);
    const repositories = repositoriesIn(scope);
    return {
      tenantId,
      ...repositories,
      bots: keptBots?.of(tenantId, repositories.bots) ?? repositories.bots,
      transaction: (work) => scope.atomically((transaction) => work(repositoriesIn(transaction))),
      fencedTransaction: (lease, work) =>
        backgroundScope.atomically(async (transaction) => {
          await requireLease(transaction, lease);
          return work(repositoriesIn(transaction));
        }),
      fencedTransactionOn: (lease, read, work) =>
        backgroundScope.atomically(async (transaction) => {
          const repositories = repositoriesIn(transaction);
          const held = requireLease(transaction, lease);
          const reading = read(repositories);
          reading.catch(() => {});
          await held;
          return work(repositories, await reading);
        }),
    };
  }

  return {
    forTenant,
    tenants: createTenantRepository(database, dialect),
    system: createSystemStore({ database, background, dialect, now: clock.now, processId }),
    async ping(signal) {
      signal?.throwIfAborted();
      await sql`select 1`.execute(database);
    },
    async start() {
      await refuseUnfinishedCopy(options.migrating ?? database);
      await migrate(options.migrating ?? database, dialect, { now: clock.now() });
    },
    stop: () => database.destroy(),
  };
}
