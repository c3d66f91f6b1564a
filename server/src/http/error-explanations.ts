import type { ErrorCode } from '../kernel/index.ts';
import { GENERATION_ERRORS } from './generation-errors.ts';
import { SETUP_ERROR_EXPLANATIONS } from './setup-error-explanations.ts';
import { STREAM_ERROR_EXPLANATIONS } from './stream-error-explanations.ts';
import { TRANSFER_ERROR_EXPLANATIONS } from './transfer-error-explanations.ts';
import { WEB_ERROR_EXPLANATIONS } from './web-error-explanations.ts';

export interface ErrorExplanation {
  readonly meaning: string;
  readonly remedy: string;
}

/** What each error code means and what to do about it: the text of `/docs/errors` and of docs/errors.md. */
export const ERROR_EXPLANATIONS: Readonly<Record<ErrorCode, ErrorExplanation>> = {
  ...GENERATION_ERRORS,
  ...STREAM_ERROR_EXPLANATIONS,
  ...TRANSFER_ERROR_EXPLANATIONS,
  invalid_request: {
    meaning: 'A field is missing, unknown, of the wrong type or out of range. `param` names it.',
    remedy: 'Correct the field that `param` names; the message says what is expected there.',
  },
  invalid_json: {
    meaning: 'The body is not valid JSON in UTF-8, is nested too deeply, or holds a forbidden key.',
    remedy: 'Send valid JSON with `content-type: application/json`.',
  },
  missing_api_key: {
    meaning: 'The request carries no API key.',
    remedy: 'Send `Authorization: Bearer <key>`.',
  },
  invalid_api_key: {
    meaning: 'The key is malformed, unknown or revoked.',
    remedy: 'Check that the key was copied whole, or make a new one with `POST /v1/api_keys`.',
  },
  api_key_expired: {
    meaning: 'The key was valid until its `expires_at`.',
    remedy: 'Make a new key with `POST /v1/api_keys`.',
  },
  insufficient_scope: {
    meaning: 'The key is valid but may not do this.',
    remedy: 'Use a key that has the scope the message names.',
  },
  origin_not_allowed: {
    meaning: "The key works only from the web pages in its `origins`, and the request's `Origin` is none of them.",
    remedy: 'Add the origin, exactly as the browser sends it, to a new key; on a server use a key without origins.',
  },
  route_not_found: {
    meaning: 'There is no such route.',
    remedy: 'Check the path against `/docs`. Paths begin with `/v1`.',
  },
  method_not_allowed: {
    meaning: 'The path exists, but not with this method.',
    remedy: 'Use one of the methods in the `Allow` header.',
  },
  tenant_not_found: {
    meaning: 'There is no such tenant.',
    remedy: 'List the tenants with `GET /v1/tenants` and the admin key.',
  },
  bot_not_found: {
    meaning: 'There is no such bot, or the key may not use it.',
    remedy: 'List your bots with `GET /v1/bots`.',
  },
  source_not_found: {
    meaning: 'The bot has no such source.',
    remedy: "List the bot's sources with `GET /v1/bots/{bot}/sources`.",
  },
  document_not_found: {
    meaning: 'There is no such document, or the key may not read it.',
    remedy: 'List the documents of a source with `GET /v1/bots/{bot}/sources/{id}/documents`.',
  },
  job_not_found: {
    meaning: 'There is no such job, or the key may not see it.',
    remedy: 'Take the `job_id` of a source.',
  },
  conversation_not_found: {
    meaning: 'There is no such conversation for this bot and key.',
    remedy: 'Begin a new one with `"conversation": true`.',
  },
  message_not_found: {
    meaning: 'There is no such message, or the key may not read it.',
    remedy: 'List the messages of a conversation with `GET /v1/conversations/{id}/messages`.',
  },
  api_key_not_found: {
    meaning: 'There is no such API key in the tenant.',
    remedy: 'List the keys with `GET /v1/api_keys`.',
  },
  sync_run_not_found: {
    meaning: 'The bot has no sync run of this id. Runs are forgotten a week after they ended.',
    remedy: 'List the runs with `GET /v1/bots/{bot}/sync_runs`, or open a new one.',
  },
  model_not_found: {
    meaning: 'No bot or embedder has the name in `model`, or the key may not use it.',
    remedy: 'List what there is with `GET /v1/models`. For chat, `model` is the id or slug of a bot.',
  },
  default_tenant_required: {
    meaning:
      'The tenant `tnt_default`, which the first start makes, cannot be deleted: the server keeps rows of its own in it.',
    remedy: 'Delete its bots and API keys, or rename it with `PATCH /v1/tenants/tnt_default`.',
  },
  slug_taken: {
    meaning: 'Another bot of the tenant has this slug.',
    remedy: 'Choose another slug, or leave it out when creating a bot: a free one is derived from the name.',
  },
  idempotency_key_reused: {
    meaning: 'The `Idempotency-Key` was already used for another request.',
    remedy: 'Use a new key for each new request; repeat a key only with exactly the same request.',
  },
  idempotency_in_progress: {
    meaning: 'The first request with this `Idempotency-Key` has not ended.',
    remedy: 'Wait as long as `Retry-After` says and send the same request again.',
  },
  job_not_cancellable: {
    meaning: 'The job has already ended.',
    remedy: 'Look at its `status`; delete the source to undo what it did.',
  },
  job_not_retryable: {
    meaning: 'Only failed and cancelled jobs can be run again.',
    remedy: 'Look at its `status`; to train a source again use `POST /v1/bots/{bot}/sources/{id}/sync`.',
  },
  source_busy: {
    meaning: 'Another request made a source with the same external key at the same moment.',
    remedy: 'Send it again: it then replaces that source.',
  },
  sync_run_incomplete: {
    meaning: 'A sync run was to be committed, but files that it asks for have not been uploaded.',
    remedy: 'Upload the files that the message names (`GET` the run for all of them), or name them in `skip`.',
  },
  sync_run_closed: {
    meaning: 'The sync run was committed or cancelled, or has expired.',
    remedy: 'Open a new run with the files as they are now.',
  },
  payload_too_large: {
    meaning: 'The request is larger than the server takes.',
    remedy: 'Split it, or raise the limit (`MAX_UPLOAD_BYTES` for uploads).',
  },
  unsupported_media_type: {
    meaning: 'The route does not read this `content-type`.',
    remedy: 'Send `application/json`; sources are also taken as `multipart/form-data`.',
  },
  unsupported_file_type: {
    meaning: 'Files of this type cannot be trained on.',
    remedy: 'Convert the file to one of the types that the message names.',
  },
  empty_content: {
    meaning: 'There is no text in the content once markup, front matter and invisible characters are taken away.',
    remedy: 'Check that the right file was sent.',
  },
  binary_content: {
    meaning: 'The content was sent as text but is binary.',
    remedy: 'Check that the right file was sent and that its name has the right ending.',
  },
  invalid_encoding: {
    meaning: 'The text is in no encoding that can be read.',
    remedy: 'Save the file as UTF-8 and send it again.',
  },
  content_too_large: {
    meaning: 'A document is larger than can be trained on in one piece.',
    remedy: 'Split it into several documents.',
  },
  parse_failed: {
    meaning: 'The file is damaged or is not what its type says.',
    remedy: 'Open and save it again in the program it comes from, or convert it to plain text.',
  },
  password_protected: {
    meaning: 'The file is encrypted, so its text cannot be read.',
    remedy: 'Save it without a password and upload it again.',
  },
  no_text_layer: {
    meaning: 'The pages are pictures (a scan): there is no text in the file.',
    remedy: 'Run text recognition (OCR) on it, save it with a text layer, and upload it again.',
  },
  too_many_pages: {
    meaning: 'The file has more pages than one file may have.',
    remedy: 'Split it into smaller files.',
  },
  unpack_limit_exceeded: {
    meaning: 'Unpacked, the file is far larger, deeper or of more parts than any real document: it may be a zip bomb.',
    remedy: 'If the content is real, unpack it and upload the files themselves.',
  },
  chunking_failed: {
    meaning: 'The text splitter that was asked for is not installed, is not allowed, or failed on this text.',
    remedy:
      'Correct `chunking_strategy` of the bot or the source (class and options), or use `auto`. The operator lists the allowed modules in CHUNKING_MODULES.',
  },
  parse_timeout: {
    meaning: 'The file could not be read within the time given to one file.',
    remedy: 'Split it into smaller files, or convert it to plain text.',
  },
  parse_out_of_memory: {
    meaning: 'Reading the file needs more memory than is given to one file.',
    remedy: 'Split it into smaller files, or convert it to plain text.',
  },
  bundle_invalid: {
    meaning: 'The file is no bundle of a bot, or it is damaged or cut off. Nothing of it was imported.',
    remedy: 'Export the bot again with `GET /v1/bots/{bot}/export` and send the whole file.',
  },
  bundle_version_unsupported: {
    meaning: 'The bundle was written by a newer version of the server.',
    remedy: 'Import it into a server of that version or a newer one.',
  },
  ...WEB_ERROR_EXPLANATIONS,
  context_length_exceeded: {
    meaning: 'The messages are longer than the model can read.',
    remedy: 'Send fewer or shorter messages, or use `conversation` and let the server keep the history.',
  },
  rate_limit_exceeded: {
    meaning: 'The key has used up its requests or tokens of this minute, or has too many requests open at once.',
    remedy: 'Wait as long as `Retry-After` says. The `ratelimit-*` headers show what is left.',
  },
  embedding_failed: {
    meaning: 'The text could not be embedded.',
    remedy: 'Try again if `retryable` says so; else look in the log for what the embedder answered.',
  },
  embedding_dimension_mismatch: {
    meaning: 'The embedder cannot give vectors of this many dimensions.',
    remedy: "Leave `dimensions` out, or ask for no more than the embedder's own.",
  },
  provider_unreachable: {
    meaning: 'The model provider could not be reached.',
    remedy: 'Try again; if it persists, check the network and the base URL of the provider.',
  },
  provider_timeout: {
    meaning: 'The model provider did not answer in time.',
    remedy: 'Try again; the deadlines are the `LLM_*_TIMEOUT_MS` settings.',
  },
  provider_rate_limited: {
    meaning: 'The model provider takes no more requests from this server at the moment.',
    remedy: 'Wait as long as `Retry-After` says.',
  },
  provider_quota_exhausted: {
    meaning: "The server's account at the model provider has no credit left.",
    remedy: 'The operator of the server must add credit or another key.',
  },
  provider_authentication_failed: {
    meaning: "The model provider refused the server's key.",
    remedy: "The operator of the server must correct the provider's key.",
  },
  provider_rejected_request: {
    meaning: 'The model provider refused the request as invalid.',
    remedy: "Check the bot's `model` and limits; the log has what the provider said.",
  },
  provider_invalid_response: {
    meaning: 'The model provider answered something that is not a valid response.',
    remedy: 'Try again; if it persists, check that the base URL is that of an OpenAI-compatible service.',
  },
  provider_unavailable: {
    meaning:
      'No model of the bot can be called at the moment: their providers failed or asked for rest, just now or shortly before.',
    remedy: 'Ask again after `Retry-After`. More models or keys (`models`, `CHAT_MODEL_FALLBACKS`) make this rarer.',
  },
  provider_error: {
    meaning: 'The model provider failed.',
    remedy: 'Try again.',
  },
  job_deadline_exceeded: {
    meaning: 'The job was not finished within the time it was given.',
    remedy: 'Run it again with `POST /v1/jobs/{id}/retry`; split very large sources.',
  },
  job_cancelled: {
    meaning: 'The job was cancelled.',
    remedy: 'Run it again with `POST /v1/jobs/{id}/retry` if that was not intended.',
  },
  job_lease_lost: {
    meaning: 'Another worker has taken over the job.',
    remedy: 'Nothing: the other worker finishes it.',
  },
  job_attempts_exhausted: {
    meaning: 'The job failed as often as it may be tried.',
    remedy: 'Look at `last_error` for the cause, then `POST /v1/jobs/{id}/retry`.',
  },
  request_aborted: {
    meaning: 'The client left before the answer was ready.',
    remedy: 'Nothing: the work was stopped.',
  },
  timeout: {
    meaning: 'The request was not finished in time.',
    remedy: 'Try again.',
  },
  server_starting: {
    meaning: 'The server is starting and does not serve yet.',
    remedy: 'Wait as long as `Retry-After` says; `GET /ready` tells when it serves.',
  },
  server_draining: {
    meaning: 'The server is stopping and takes no new requests.',
    remedy: 'Try again: another process or the restarted one will answer.',
  },
  ...SETUP_ERROR_EXPLANATIONS,
  internal_error: {
    meaning: 'Something went wrong in the server.',
    remedy: 'Try again; if it persists, give the `request_id` to the operator, who finds the cause in the log.',
  },
};
