import { inspectPostgres, OLDEST_POSTGRES, type PostgresReport } from '../adapters/postgres/index.ts';
import type { Config } from './config.ts';

/** What `chatsphere doctor` says of the database. Rejects with `database_unavailable`. */
export async function checkDatabase({ database, vectorStore }: Pick<Config, 'database' | 'vectorStore'>): Promise<{
  readonly level: 'ok' | 'warn' | 'fail';
  readonly detail: string;
}> {
  if (database === null) return { level: 'ok', detail: 'embedded, in the data folder' };
  const report = await inspectPostgres(database.url);
  const fault = faultOf(report, vectorStore === 'pgvector');
  if (fault !== null) return { level: 'fail', detail: `PostgreSQL ${report.version}: ${fault}` };
  const pgvector = report.pgvector === null ? '' : `, pgvector ${report.pgvector}`;
  const answers = `PostgreSQL ${report.version}${pgvector} answers in ${report.tookMs.toFixed(1)} ms`;
  if (!report.passesRowSecurity) return { level: 'ok', detail: answers };
  return {
    level: 'warn',
    detail: `${answers}; its user passes by row-level security, the second wall between tenants. Use one that is no superuser.`,
  };
}

function faultOf(report: PostgresReport, needsPgvector: boolean): string | null {
  if (report.majorVersion < OLDEST_POSTGRES) return `version ${OLDEST_POSTGRES} or later is needed. Upgrade it.`;
  if (!report.mayCreate) {
    return 'the user may not create tables, or does not own those that are there. Make it the owner of the database.';
  }
  if (needsPgvector && report.pgvector === null) {
    return 'pgvector is missing. As a superuser, run in this database: create extension vector';
  }
  return null;
}
