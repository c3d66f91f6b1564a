export { openPostgres, type Postgres, type PostgresDatabases, type PostgresOptions } from './open-postgres.ts';
export { createPostgresBlobStore, type PostgresBlobStore } from './postgres-blob-store.ts';
