import type { Kysely } from 'kysely';
import type { WordVectorCache } from '../../embeddings/index.ts';
import type { Clock, Logger } from '../../kernel/index.ts';
import { createStore, createWordVectors, createWriteRecorder, type Schema, type Store } from '../../store/index.ts';
import type { LexicalIndex } from '../../vector-store/index.ts';
import { createDatabaseInProcess, createDatabaseThread } from './database-thread.ts';
import { createKyselyDialect } from './kysely-dialect.ts';
import { createSqliteLexicalIndex } from './lexical-index.ts';
import { createPipelinedDatabase } from './pipelined-database.ts';
import { createSmallLexicalIndexes } from './small-lexical-indexes.ts';
import { createSqliteSqlDialect, sqliteSqlDialect } from './sqlite-sql-dialect.ts';
import type { StatementRunner } from './statement.ts';
import { createWriterTurns, type Durability } from './writer-turns.ts';

export interface SqliteOptions {
  /** The database file, made when it is not there (its folder must be); `:memory:` for one that is lost with the process. */
  readonly file: string;
  readonly clock: Pick<Clock, 'now'>;
  readonly logger: Logger;
  /** How much more a word in a title or heading counts in the lexical index than one in the text. */
  readonly titleWeight?: number;
}

export interface Sqlite {
  /** Starting and stopping it starts and stops everything here. A stopped store is not started again. */
  readonly store: Store;
  readonly lexicalIndex: LexicalIndex;
  readonly wordVectorCache: WordVectorCache;
}

const DEFAULT_TITLE_WEIGHT = 2;

/** The embedded database. A file is worked on by two threads (one writes, one reads), never by the calling one. */
export function openSqlite({ file, clock, logger, titleWeight = DEFAULT_TITLE_WEIGHT }: SqliteOptions): Sqlite {
  const { writer, reader } = openConnections(file, logger);
  const turns = createWriterTurns({
    writer,
    onAbandoned: () => logger.error({}, 'a database transaction was idle for too long and was rolled back'),
  });
  const writes = createWriteRecorder();
  const open = (durability: Durability): Kysely<Schema> =>
    createPipelinedDatabase(createKyselyDialect({ writer, reader, turns, durability, writes }));
  const database = open('synced');
  const background = open('ordered');
  const small = reader === null ? null : createSmallLexicalIndexes({ database, reader });
  const dialect = small === null ? createSqliteSqlDialect(0) : sqliteSqlDialect;
  return {
    store: createStore({ database, background, dialect, clock, writes }),
    lexicalIndex: createSqliteLexicalIndex({ database, small, titleWeight }),
    wordVectorCache: createWordVectors(background, dialect),
  };
}

function openConnections(
  file: string,
  logger: Logger,
): { readonly writer: StatementRunner; readonly reader: StatementRunner | null } {
  if (file === ':memory:') return { writer: createDatabaseInProcess({ file, role: 'writer' }), reader: null };
  return {
    writer: createDatabaseThread({ file, role: 'writer', logger }),
    reader: createDatabaseThread({ file, role: 'searcher', logger }),
  };
}
