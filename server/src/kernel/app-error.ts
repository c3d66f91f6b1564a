/**
 * Every cause of failure that a client can meet, each with a stable code. `http` maps each to a status (exhaustive by
 * type) and docs/errors.md explains each (held to this list by a test).
 */
export const ERROR_CODES = [
  'invalid_request',
  'invalid_json',
  'missing_api_key',
  'invalid_api_key',
  'api_key_expired',
  'insufficient_scope',
  'origin_not_allowed',
  'route_not_found',
  'method_not_allowed',
  'tenant_not_found',
  'bot_not_found',
  'source_not_found',
  'document_not_found',
  'job_not_found',
  'conversation_not_found',
  'generation_not_found',
  'golden_question_not_found',
  'message_not_found',
  'api_key_not_found',
  'sync_run_not_found',
  'model_not_found',
  'default_tenant_required',
  'slug_taken',
  'idempotency_key_reused',
  'idempotency_in_progress',
  'job_not_cancellable',
  'job_not_retryable',
  'source_busy',
  'sync_run_incomplete',
  'sync_run_closed',
  'generation_busy',
  'generation_not_usable',
  'payload_too_large',
  'unsupported_media_type',
  'unsupported_file_type',
  'empty_content',
  'binary_content',
  'invalid_encoding',
  'content_too_large',
  'parse_failed',
  'parse_timeout',
  'parse_out_of_memory',
  'password_protected',
  'no_text_layer',
  'too_many_pages',
  'unpack_limit_exceeded',
  'bundle_invalid',
  'bundle_version_unsupported',
  'chunking_failed',
  'url_invalid',
  'url_not_allowed',
  'fetch_failed',
  'fetch_timeout',
  'page_not_found',
  'robots_disallowed',
  'response_too_large',
  'context_length_exceeded',
  'rate_limit_exceeded',
  'embedding_failed',
  'embedding_dimension_mismatch',
  'provider_unreachable',
  'provider_timeout',
  'provider_rate_limited',
  'provider_quota_exhausted',
  'provider_authentication_failed',
  'provider_rejected_request',
  'provider_invalid_response',
  'provider_error',
  'provider_unavailable',
  'stream_interrupted',
  'stream_expired',
  'stream_unavailable',
  'answer_stopped',
  'job_deadline_exceeded',
  'job_cancelled',
  'job_lease_lost',
  'job_attempts_exhausted',
  'request_aborted',
  'timeout',
  'server_starting',
  'server_draining',
  'database_unavailable',
  'storage_full',
  'data_folder_locked',
  'role_needs_database',
  'secret_mismatch',
  'installation_not_found',
  'backup_invalid',
  'backup_version_unsupported',
  'restore_target_not_empty',
  'nothing_to_roll_back',
  'migration_unfinished',
  'migration_mismatch',
  'migration_source_in_use',
  'migration_target_changed',
  'path_not_writable',
  'vector_extension_missing',
  'configuration_invalid',
  'internal_error',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** What was tried at providers for an answer that did not come about. */
export interface TriedModels {
  /** The model whose failure is told, `provider/model`. */
  readonly model: string;
  /** Upstream calls that were made. */
  readonly attempts: number;
}

export interface AppErrorOptions {
  /** The request field at fault, in the wire's spelling (`messages[0].content`). */
  readonly param?: string;
  /** Whether the same call may succeed later without a change. */
  readonly retryable?: boolean;
  /** How long to wait before trying again, in milliseconds. */
  readonly retryAfterMs?: number;
  /** What failed underneath. Stays in logs; never reaches a client. */
  readonly cause?: unknown;
  readonly tried?: TriedModels;
}

/**
 * The one error of the house. `message` says what happened and what to do next, and is safe to show to a client: it
 * holds no secret and no content of other requests.
 */
export class AppError extends Error {
  override readonly name = 'AppError';
  readonly code: ErrorCode;
  readonly param: string | undefined;
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;
  readonly tried: TriedModels | undefined;

  constructor(code: ErrorCode, message: string, options: AppErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.param = options.param;
    this.retryable = options.retryable ?? false;
    this.retryAfterMs = options.retryAfterMs;
    this.tried = options.tried;
  }
}

/** The error itself when it is ours, else an `internal_error` that keeps it as the cause. */
export function toAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  return new AppError(
    'internal_error',
    'Something went wrong on our side. Try again; if it persists, look in the log.',
    {
      cause: error,
      retryable: true,
    },
  );
}
