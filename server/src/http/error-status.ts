import type { ErrorCode } from '../kernel/index.ts';
import type { ERROR_TYPES } from './contract/index.ts';

/** The status of every error code. 499 is never read by anyone: the client has left. */
export const ERROR_STATUS: Readonly<Record<ErrorCode, number>> = {
  invalid_request: 400,
  invalid_json: 400,
  missing_api_key: 401,
  invalid_api_key: 401,
  api_key_expired: 401,
  insufficient_scope: 403,
  origin_not_allowed: 403,
  route_not_found: 404,
  method_not_allowed: 405,
  tenant_not_found: 404,
  bot_not_found: 404,
  source_not_found: 404,
  document_not_found: 404,
  job_not_found: 404,
  conversation_not_found: 404,
  message_not_found: 404,
  api_key_not_found: 404,
  sync_run_not_found: 404,
  model_not_found: 404,
  slug_taken: 409,
  idempotency_key_reused: 422,
  idempotency_in_progress: 409,
  job_not_cancellable: 409,
  job_not_retryable: 409,
  source_busy: 409,
  sync_run_incomplete: 409,
  sync_run_closed: 409,
  payload_too_large: 413,
  unsupported_media_type: 415,
  unsupported_file_type: 415,
  source_type_unavailable: 400,
  empty_content: 400,
  binary_content: 400,
  invalid_encoding: 400,
  content_too_large: 413,
  parse_failed: 422,
  parse_timeout: 422,
  password_protected: 422,
  no_text_layer: 422,
  too_many_pages: 422,
  unpack_limit_exceeded: 422,
  chunking_failed: 422,
  parse_out_of_memory: 422,
  bundle_invalid: 422,
  bundle_version_unsupported: 422,
  context_length_exceeded: 400,
  rate_limit_exceeded: 429,
  embedding_failed: 502,
  embedding_dimension_mismatch: 400,
  provider_unreachable: 502,
  provider_timeout: 504,
  provider_rate_limited: 503,
  provider_quota_exhausted: 503,
  provider_authentication_failed: 502,
  provider_rejected_request: 502,
  provider_invalid_response: 502,
  provider_error: 502,
  stream_interrupted: 502,
  job_deadline_exceeded: 504,
  job_cancelled: 409,
  job_lease_lost: 409,
  job_attempts_exhausted: 500,
  request_aborted: 499,
  timeout: 504,
  server_starting: 503,
  server_draining: 503,
  database_unavailable: 503,
  storage_full: 507,
  data_folder_locked: 503,
  configuration_invalid: 500,
  internal_error: 500,
};

export type ErrorType = (typeof ERROR_TYPES)[number];

/** OpenAI's name for the kind of an error. */
export function errorTypeOf(code: ErrorCode): ErrorType {
  if (code === 'provider_quota_exhausted') return 'insufficient_quota';
  const status = ERROR_STATUS[code];
  if (status === 401) return 'authentication_error';
  if (status === 403) return 'permission_error';
  if (status === 429) return 'rate_limit_error';
  return status >= 500 ? 'server_error' : 'invalid_request_error';
}
