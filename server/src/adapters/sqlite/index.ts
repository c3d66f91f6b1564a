export { openSqlite, type Sqlite, type SqliteOptions } from './open-sqlite.ts';
