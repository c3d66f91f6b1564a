import {
  type Dialect,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type PrimitiveValueListNode,
  sql,
} from 'kysely';
import { LRUCache } from 'lru-cache';
import type { WordVectorCache } from '../../embeddings/index.ts';
import { AppError, type Clock, type Logger } from '../../kernel/index.ts';
import { createStore, createWordVectors, type Schema, type Store } from '../../store/index.ts';
import type { LexicalIndex, VectorStore } from '../../vector-store/index.ts';
import { createConnectionPool } from './connection-pool.ts';
import { createUniqueColumns } from './constraint-columns.ts';
import { inspectPostgres, OLDEST_POSTGRES } from './inspect-postgres.ts';
import { createPgvectorStore, NEAREST_SETTINGS, type PgvectorStoreOptions } from './pgvector-store.ts';
import { createPostgresBus, type PostgresBus } from './postgres-bus.ts';
import { createPostgresDriver } from './postgres-driver.ts';
import { postgresLexicalDialect } from './postgres-lexical-dialect.ts';
import { createPostgresLexicalIndex, LEXICAL_SETTINGS } from './postgres-lexical-index.ts';
import { createPostgresSqlDialect } from './postgres-sql-dialect.ts';
import { EVERY_TENANT, type Scope } from './scope.ts';
import { createTurns } from './turns.ts';

export interface PostgresOptions {
  /** `postgres://user:password@host:port/database`; parameters are those of the `pg` client (`sslmode`, ...). */
  readonly url: string;
  /** Where notifications come, when `url` leads to a pooler that shares sessions (PgBouncer). */
  readonly listenUrl?: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Most connections of this process. */
  readonly connections?: number;
  /** How long a statement may take before it is given up. */
  readonly statementTimeoutMs?: number;
  /** How much more a word in a title or heading counts in the lexical index than one in the text. */
  readonly titleWeight?: number;
}

/** One database, in the scopes that it is worked on. */
export interface PostgresDatabases {
  /** Statements may reach the rows of every tenant. */
  readonly database: Kysely<Schema>;
  /** The same for work whose latest commits may be lost in a crash of the database; see `StoreOptions`. */
  readonly background: Kysely<Schema>;
  /** Statements reach the rows of that tenant alone. */
  ofTenant(tenantId: string): TenantDatabases;
}

export interface TenantDatabases {
  readonly database: Kysely<Schema>;
  readonly background: Kysely<Schema>;
  /** For single statements that search the graphs of vectors. */
  readonly searching: Kysely<Schema>;
  /** For single statements that read the words of an index. */
  readonly words: Kysely<Schema>;
}

export interface Postgres {
  /** Starting and stopping it starts and stops everything here. A stopped store is not started again. */
  readonly store: Store;
  readonly lexicalIndex: LexicalIndex;
  readonly wordVectorCache: WordVectorCache;
  /** To all processes that work on the database. */
  readonly bus: PostgresBus;
  readonly databases: PostgresDatabases;
  /** Vectors in the same database, with pgvector. To be started after the store and stopped before it. */
  openVectorStore(options?: Pick<PgvectorStoreOptions, 'mostExact' | 'backlogPatienceMs'>): VectorStore;
}

const DEFAULT_CONNECTIONS = 10;
const DEFAULT_STATEMENT_TIMEOUT_MS = 30_000;
const DEFAULT_TITLE_WEIGHT = 2;
const MOST_SCOPES = 1_000;

/** A PostgreSQL database, which other processes may work on at the same time. */
export function openPostgres({
  url,
  clock,
  logger,
  connections = DEFAULT_CONNECTIONS,
  statementTimeoutMs = DEFAULT_STATEMENT_TIMEOUT_MS,
  titleWeight = DEFAULT_TITLE_WEIGHT,
  listenUrl = url,
}: PostgresOptions): Postgres {
  const pool = createConnectionPool({ url, connections, logger });
  const turns = createTurns();
  const open = (scope: Scope, timeoutMs: number | null = statementTimeoutMs): Kysely<Schema> =>
    new Kysely({
      dialect: postgresDialect(() => createPostgresDriver({ pool, scope, turns, statementTimeoutMs: timeoutMs })),
    });
  const openBoth = (tenantId: string) => ({
    database: open({ tenantId, durability: 'synced' }),
    background: open({ tenantId, durability: 'ordered' }),
    searching: open({ tenantId, durability: 'ordered', settings: NEAREST_SETTINGS }),
    words: open({ tenantId, durability: 'ordered', settings: LEXICAL_SETTINGS }),
  });
  const tenants = new LRUCache<string, ReturnType<typeof openBoth>>({ max: MOST_SCOPES });
  const databases: PostgresDatabases = {
    ...openBoth(EVERY_TENANT),
    ofTenant(tenantId) {
      // Nobody may take the scope of all tenants by a name.
      if (tenantId === EVERY_TENANT) throw new Error('Not a tenant.');
      const known = tenants.get(tenantId) ?? openBoth(tenantId);
      tenants.set(tenantId, known);
      return known;
    },
  };
  const uniqueColumns = createUniqueColumns();
  const dialect = createPostgresSqlDialect({ lexical: postgresLexicalDialect, uniqueColumns });
  const migrating = open({ tenantId: EVERY_TENANT, durability: 'synced' }, null);
  const store = createStore({ ...databases, migrating, dialect, clock });
  /** Without a time limit, and alone in its transaction. */
  async function runAlone(statement: string): Promise<void> {
    const client = await pool.connect();
    let isUsable = false;
    try {
      await pool.run(client, { statements: [{ sql: statement, parameters: [] }], asked: 0 }, null);
      isUsable = true;
    } finally {
      client.release(!isUsable);
    }
  }

  const bus = createPostgresBus({ listenUrl, notify: (...of) => notify(databases.background, ...of), clock, logger });
  return {
    databases,
    openVectorStore: (chosen = {}) =>
      createPgvectorStore({
        ...{ database: databases.background, ofTenant: databases.ofTenant, runAlone, clock, logger },
        ...chosen,
      }),
    lexicalIndex: createPostgresLexicalIndex({ databases, titleWeight }),
    bus,
    wordVectorCache: createWordVectors(databases.background, dialect),
    store: {
      ...store,
      async start() {
        await requireUsable(url, logger);
        await store.start();
        await uniqueColumns.load(databases.database);
        await bus.start();
      },
      async stop() {
        await bus.stop();
        await store.stop();
        await pool.stop();
      },
    },
  };
}

/** `in ()` is an error in PostgreSQL; nothing is in an empty list. */
class QueryCompiler extends PostgresQueryCompiler {
  protected override visitPrimitiveValueList(node: PrimitiveValueListNode): void {
    if (node.values.length === 0) this.append('(select null where false)');
    else super.visitPrimitiveValueList(node);
  }
}

/** Rejects with `database_unavailable`, saying what to do, and with `configuration_invalid` when the server is too old. */
export async function requireUsable(url: string, logger: Logger): Promise<void> {
  const { version, majorVersion, passesRowSecurity } = await inspectPostgres(url);
  if (majorVersion < OLDEST_POSTGRES) {
    throw new AppError(
      'configuration_invalid',
      `DATABASE_URL leads to PostgreSQL ${version}; version ${OLDEST_POSTGRES} or later is needed.`,
    );
  }
  if (passesRowSecurity) {
    logger.warn(
      {},
      'The user of DATABASE_URL passes by row-level security, the second wall between tenants. Give the server a user that is no superuser',
    );
  }
}

async function notify(database: Kysely<Schema>, channel: string, payloads: readonly string[]): Promise<void> {
  await sql`select pg_notify(${channel}, payload) from jsonb_array_elements_text(${JSON.stringify(payloads)}::jsonb)
    with ordinality as given (payload, position) order by position`.execute(database);
}

export function postgresDialect(createDriver: Dialect['createDriver']): Dialect {
  return {
    createAdapter: () => new PostgresAdapter(),
    createDriver,
    createIntrospector: (database) => new PostgresIntrospector(database),
    createQueryCompiler: () => new QueryCompiler(),
  };
}
