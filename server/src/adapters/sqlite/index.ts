export { openSqlite, type SqliteParts, type SqliteOptions } from './open-sqlite.ts';
