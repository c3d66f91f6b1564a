import type { Generated } from 'kysely';

export interface IndexGenerationsTable {
  number: Generated<number>;
  id: string;
  tenant_id: string;
  bot_id: string;
  state: string;
  embedding_model: string;
  embedder_version: string;
  dimensions: number;
  chunk_set: string;
  chunking_json: string;
  origin: string;
  policy: string;
  error_json: string | null;
  comparison_json: string | null;
  job_id: string | null;
  /** When the state was entered. */
  state_at: number;
  progress_done: number;
  progress_total: number;
  created_at: number;
  updated_at: number;
}

export interface GoldenQuestionsTable {
  number: Generated<number>;
  id: string;
  tenant_id: string;
  bot_id: string;
  question: string;
  expected_json: string;
  created_at: number;
}
