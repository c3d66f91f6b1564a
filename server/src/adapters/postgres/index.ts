export { inspectPostgres, OLDEST_POSTGRES, type PostgresReport } from './inspect-postgres.ts';
export { openPostgres, type Postgres, type PostgresDatabases, type PostgresOptions } from './open-postgres.ts';
export { refuseVectorExtension, requireVectorExtension } from './pgvector-tables.ts';
export { createPostgresBlobStore, type PostgresBlobStore } from './postgres-blob-store.ts';
export { hasServers, openPostgresForFilling, openPostgresSnapshot } from './postgres-transfer.ts';
export { openStoredBlobs, removeStoredBlobs } from './postgres-transfer-blobs.ts';
