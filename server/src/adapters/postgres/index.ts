export { openPostgres, type Postgres, type PostgresDatabases, type PostgresOptions } from './open-postgres.ts';
