import type { TenantTable } from './schema.ts';

const IS_TENANT_TABLE: Readonly<Record<TenantTable, true>> = {
  bots: true,
  sources: true,
  source_pages: true,
  documents: true,
  document_signatures: true,
  chunks: true,
  chunk_vectors: true,
  index_generations: true,
  golden_questions: true,
  prompt_versions: true,
  jobs: true,
  job_queues: true,
  conversations: true,
  messages: true,
  api_keys: true,
  usage: true,
  idempotency: true,
  sync_runs: true,
  sync_items: true,
};

/** Every one of them: the type above makes sure that none is left out. */
export const TENANT_TABLES = Object.keys(IS_TENANT_TABLE) as readonly TenantTable[];
