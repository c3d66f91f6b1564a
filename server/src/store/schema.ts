import type { Generated } from 'kysely';
import type { GoldenQuestionsTable, IndexGenerationsTable } from './schema-generations.ts';
import type { PromptVersionsTable } from './schema-prompts.ts';
import type { UsagePricesTable, UsageTable } from './schema-usage.ts';

/**
 * The tables as Kysely sees them. Every listable table has `number`, which grows with each insert and gives lists their
 * order; `id` is what the outside knows. Times are milliseconds since 1970; columns named `*_json` hold JSON text.
 */
export interface Schema {
  tenants: TenantsTable;
  bots: BotsTable;
  sources: SourcesTable;
  source_pages: SourcePagesTable;
  documents: DocumentsTable;
  document_signatures: DocumentSignaturesTable;
  chunks: ChunksTable;
  chunk_vectors: ChunkVectorsTable;
  index_generations: IndexGenerationsTable;
  golden_questions: GoldenQuestionsTable;
  prompt_versions: PromptVersionsTable;
  jobs: JobsTable;
  job_queues: JobQueuesTable;
  conversations: ConversationsTable;
  messages: MessagesTable;
  api_keys: ApiKeysTable;
  usage: UsageTable;
  usage_prices: UsagePricesTable;
  idempotency: IdempotencyTable;
  sync_runs: SyncRunsTable;
  sync_items: SyncItemsTable;
  settings: SettingsTable;
  word_vectors: WordVectorsTable;
  workers: WorkersTable;
  leases: LeasesTable;
}

/** The tables whose rows belong to a tenant; repositories reach them through a `TenantScope` only. */
export type TenantTable = Exclude<
  keyof Schema,
  'tenants' | 'usage_prices' | 'settings' | 'word_vectors' | 'workers' | 'leases'
>;

interface TenantsTable {
  number: Generated<number>;
  id: string;
  name: string;
  created_at: number;
  updated_at: number;
}

export interface BotsTable {
  number: Generated<number>;
  id: string;
  tenant_id: string;
  name: string;
  slug: string;
  instructions: string | null;
  model: string | null;
  temperature: number | null;
  max_output_tokens: number | null;
  refusal_message: string | null;
  retrieval_json: string;
  privacy_json: string;
  metadata_json: string;
  /** When content of the bot was last deleted: what was said without naming its sources before that is not remembered. */
  content_removed_at: number | null;
  /** Another one after each change of what answers may rest on; null: nothing has changed yet. */
  content_revision: string | null;
  chunking_json: string | null;
  prompt_json: string | null;
  models_json: string | null;
  created_at: number;
  updated_at: number;
}

export interface SourcesTable {
  number: Generated<number>;
  id: string;
  tenant_id: string;
  bot_id: string;
  type: string;
  title: string;
  url: string | null;
  status: string;
  stage: string | null;
  progress_done: number;
  progress_total: number;
  counts_json: string;
  last_error_json: string | null;
  job_id: string | null;
  external_key: string | null;
  metadata_json: string;
  inputs_json: string;
  content_hash: string;
  /** SHA-256 of the bytes of a source that is made of one file. */
  file_hash: string | null;
  chunking_json: string | null;
  created_at: number;
  updated_at: number;
  /** Null: not fetched from the web. */
  web_json: string | null;
  sync_interval_ms: number | null;
  last_synced_at: number | null;
  next_sync_at: number | null;
}

export interface SourcePagesTable {
  number: Generated<number>;
  tenant_id: string;
  source_id: string;
  url: string;
  address: string;
  kind: string;
  run: string;
  depth: number;
  lastmod: string | null;
  state: string;
  last_error_json: string | null;
  copy_json: string | null;
  /** That of the copy, to know which blobs are in use. */
  blob_hash: string | null;
}

export interface DocumentsTable {
  number: Generated<number>;
  id: string;
  tenant_id: string;
  bot_id: string;
  source_id: string;
  title: string;
  url: string | null;
  input_name: string;
  state: string;
  last_error_json: string | null;
  content_hash: string;
  tokens: number;
  created_at: number;
  text: string;
  trained_as: string | null;
  structure_json: Generated<string | null>;
}

export interface ChunksTable {
  number: Generated<number>;
  id: string;
  tenant_id: string;
  bot_id: string;
  source_id: string;
  document_id: string;
  position: number;
  start_offset: number;
  end_offset: number;
  heading_path_json: string;
  page: number | null;
  tokens: number;
  hash: string;
  text: string;
  /** How the document was cut; a document may be cut in several ways at once. */
  chunk_set: Generated<string>;
}

interface DocumentSignaturesTable {
  tenant_id: string;
  bot_id: string;
  document_id: string;
  signature: Uint8Array;
}

export interface SyncRunsTable {
  number: Generated<number>;
  id: string;
  tenant_id: string;
  bot_id: string;
  status: string;
  prune: number;
  prefix: string;
  unchanged: number;
  receipt_json: string;
  created_at: number;
  expires_at: number;
  ended_at: number | null;
}

/** One thing that a run asks for. `source_id`: the source at the time of the plan, of what is deleted or relabelled. */
export interface SyncItemsTable {
  number: Generated<number>;
  tenant_id: string;
  bot_id: string;
  run_id: string;
  action: string;
  state: string;
  external_key: string;
  source_id: string | null;
  metadata_json: string | null;
}

/**
 * One row for the vectors of a chunk in one vector space (`generation` holds its name): its windows one after the other,
 * as 32-bit floats.
 */
interface ChunkVectorsTable {
  chunk_number: number;
  generation: string;
  tenant_id: string;
  bot_id: string;
  windows: number;
  vectors: Uint8Array;
}

export interface JobsTable {
  number: Generated<number>;
  id: string;
  tenant_id: string;
  bot_id: string | null;
  source_id: string | null;
  kind: string;
  state: string;
  stage: string;
  priority: number;
  progress_done: number;
  progress_total: number;
  attempts: number;
  max_attempts: number;
  lease_owner: string | null;
  lease_expires_at: number | null;
  fencing_token: number;
  last_error_json: string | null;
  cancel_requested: number;
  /** 1: the handler has been told that the job failed or was cancelled. */
  settled: Generated<number>;
  /** The queue within its tenant: the bot's id, or `-`. */
  queue: Generated<string>;
  /** When its lease began. */
  claimed_at: Generated<number | null>;
  resume_json: Generated<string | null>;
  run_at: number;
  deadline_at: number;
  payload_json: string;
  created_at: number;
  updated_at: number;
  finished_at: number | null;
}

/** Who shares the places that jobs run in: a row for each queue of a tenant, and one (queue `''`) for the tenant as a whole. */
interface JobQueuesTable {
  tenant_id: string;
  queue: string;
  /** Time that its jobs were given, in milliseconds: who has the least is next. */
  served: number;
}

/** `expires_at` null: a mark that stands as long as the work that it names. */
interface LeasesTable {
  name: string;
  owner: string;
  expires_at: number | null;
}

/** Processes that run jobs. */
export interface WorkersTable {
  id: string;
  host: string;
  pid: number;
  places: number;
  running: number;
  started_at: number;
  seen_at: number;
}

export interface ConversationsTable {
  number: Generated<number>;
  id: string;
  tenant_id: string;
  bot_id: string;
  end_user: string | null;
  title: string | null;
  summary: string | null;
  summarized_through: string | null;
  /** When the summary was begun. */
  summarized_at: number | null;
  metadata_json: string;
  created_at: number;
  updated_at: number;
}

export interface MessagesTable {
  number: Generated<number>;
  id: string;
  tenant_id: string;
  bot_id: string;
  conversation_id: string;
  role: string;
  content: string;
  status: string;
  citations_json: string;
  grounded: number | null;
  served_by: string | null;
  stream_json: string | null;
  created_at: number;
}

export interface ApiKeysTable {
  number: Generated<number>;
  id: string;
  tenant_id: string;
  name: string;
  secret_hash: string;
  hint: string;
  scopes_json: string;
  bots_json: string | null;
  origins_json: string | null;
  limits_json: string;
  expires_at: number | null;
  revoked_at: number | null;
  last_used_at: number | null;
  created_at: number;
}

export interface IdempotencyTable {
  tenant_id: string;
  key: string;
  fingerprint: string;
  state: string;
  status: number | null;
  body: string | null;
  created_at: number;
  /** The process that claimed it. */
  owner: string | null;
}

interface SettingsTable {
  name: string;
  value: string;
}

interface WordVectorsTable {
  model: string;
  word: string;
  vector: Uint8Array;
}
