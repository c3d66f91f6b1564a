import type { Expression, Kysely, RawBuilder, SqlBool } from 'kysely';
import type { MetadataFilter } from './ports.ts';
import type { Schema } from './schema.ts';

/** A filter on one key of a source's metadata. */
export type MetadataComparison = Exclude<MetadataFilter, { readonly type: 'and' | 'or' }>;

/**
 * What differs between the SQL engines that the repositories run on. Everything that takes a database must work inside
 * the transaction it is given.
 */
export interface SqlDialect {
  /** `select ... for update` exists and is needed, because writers run side by side. */
  readonly rowLocks: boolean;
  /** All reads share one connection: while a statement runs, every other read waits. */
  readonly readsShareConnection: boolean;
  readonly columnTypes: {
    /** A row number that the database hands out, as the primary key. */
    readonly rowNumber: RawBuilder<unknown>;
    readonly bytes: RawBuilder<unknown>;
  };
  /** `column in (...)` for a list of any length, bound as one parameter. */
  isOneOf(column: Expression<unknown>, values: readonly (string | number)[]): Expression<SqlBool>;
  /** Whether the column holds the text somewhere, character for character. */
  containsText(column: Expression<unknown>, text: string): Expression<SqlBool>;
  /**
   * Whether a member of a JSON object compares as asked. Numbers, strings and booleans compare within their own type
   * alone; `ne` and `nin` are the opposite of `eq` and `in`, so they hold when the member is missing. Keys and values
   * are bound, never spliced.
   */
  metadataMatches(json: Expression<unknown>, comparison: MetadataComparison): Expression<SqlBool>;
  /** Creates what the lexical index keeps beside the tables. Runs in the first migration. */
  createLexicalTables(database: Kysely<Schema>): Promise<void>;
  /** Gives each chunk set of a bot a lexical index of its own; what is there belongs to the given set. */
  divideLexicalTables(database: Kysely<Schema>, firstSet: string): Promise<void>;
  /**
   * Finds or makes the lexical index of a chunk set. What it gives puts the chunks of documents into it, in the same
   * transaction; each is indexed once in its life.
   */
  openLexicalIndex(
    database: Kysely<Schema>,
    index: BotKey & { readonly chunkSet: string },
  ): Promise<(documentIds: readonly string[]) => Promise<void>>;
  /** Takes the chunks of documents out of the lexical index; runs before the rows go. */
  unindexDocuments(database: Kysely<Schema>, tenantId: string, documentIds: readonly string[]): Promise<void>;
  /** Takes words of what was unindexed out of what the bot's lexical index keeps on disk, in small steps. */
  purgeLexicalIndex(database: Kysely<Schema>, bot: BotKey): Promise<void>;
  /** Drops the lexical indexes of a chunk set, of a bot, or of every bot of the tenant. */
  dropLexicalIndexes(
    database: Kysely<Schema>,
    owner: { readonly tenantId: string; readonly botId?: string; readonly chunkSet?: string },
  ): Promise<void>;
  /** Lets one process at a time change the schema, until the transaction ends. */
  lockSchema(database: Kysely<Schema>): Promise<void>;
  /**
   * Makes the engine itself keep tenants apart, where it can: by table, the column that holds the tenant of a row. Runs
   * after the migrations, each time.
   */
  protectTenants(database: Kysely<Schema>, columns: ReadonlyMap<string, string>): Promise<void>;
  /** The columns (`table.column`) of the unique constraint that an error is about; null for other errors. */
  violatedUniqueColumns(error: unknown): readonly string[] | null;
  /** Whether an error says that a row's parent is not there. */
  isMissingParent(error: unknown): boolean;
}

export interface BotKey {
  readonly tenantId: string;
  readonly botId: string;
}
