export { openPostgres, type Postgres, type PostgresDatabases, type PostgresOptions } from './open-postgres.ts';
export type { LexicalSqlDialect } from './postgres-sql-dialect.ts';
