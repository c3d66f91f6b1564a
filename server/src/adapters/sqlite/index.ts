export { openSqlite, type Sqlite, type SqliteOptions } from './open-sqlite.ts';
export { openSqliteForFilling, openSqliteSnapshot } from './sqlite-transfer.ts';
