import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { AppError, type ErrorCode, type Logger, toAppError } from '../kernel/index.ts';
import type { WireError } from './contract/index.ts';
import { errorDocUrl } from './error-docs.ts';
import { ERROR_STATUS, errorTypeOf } from './error-status.ts';
import { toHeaderValue } from './header-value.ts';

/** An error in OpenAI's shape, with what ChatSphere adds to it. */
export function toWireError(error: AppError, requestId: string): WireError {
  return {
    error: {
      message: error.message,
      type: errorTypeOf(error.code),
      param: error.param ?? null,
      code: error.code,
      request_id: requestId,
      retryable: error.retryable,
      doc_url: errorDocUrl(error.code),
    },
  };
}

/** Headers that tell a client, and OpenAI's SDKs, whether and when to try again. */
function retryHeaders(error: AppError): Record<string, string> {
  const headers: Record<string, string> = { 'x-should-retry': String(error.retryable) };
  const waits =
    ERROR_STATUS[error.code] === 429 || ERROR_STATUS[error.code] === 503 || error.retryAfterMs !== undefined;
  if (waits && (error.retryAfterMs !== undefined || error.retryable)) {
    headers['retry-after'] = String(Math.max(1, Math.ceil((error.retryAfterMs ?? 0) / 1000)));
  }
  return headers;
}

/** As an answer says who made it, an error says whose failure it is, and how many calls were made. */
function triedHeaders({ tried }: AppError): Record<string, string> {
  if (tried === undefined) return {};
  return { 'x-chatsphere-served-by': toHeaderValue(tried.model), 'x-chatsphere-attempts': String(tried.attempts) };
}

/** The one place where errors become answers. What the house does not know is logged with its cause and told to nobody. */
export function createErrorHandler(logger: Logger) {
  return (thrown: FastifyError, request: FastifyRequest, reply: FastifyReply): void => {
    const error = fromFastify(thrown) ?? toAppError(thrown);
    logFailure(logger, error, request);
    reply
      .code(ERROR_STATUS[error.code])
      .headers({ ...retryHeaders(error), ...triedHeaders(error) })
      .type('application/json; charset=utf-8')
      .serializer((body: unknown) => JSON.stringify(body))
      .send(toWireError(error, request.id));
  };
}

/** Logs what the operator must know: failures on our side, with their cause. */
export function logFailure(logger: Logger, error: AppError, request: FastifyRequest): void {
  const fields = { requestId: request.id, code: error.code, route: request.routeOptions.url ?? null };
  // Starting and draining are no failures, and probes ask often.
  if (error.code === 'server_starting' || error.code === 'server_draining') return;
  if (ERROR_STATUS[error.code] >= 500) logger.error({ ...fields, error: error.cause ?? error }, 'Request failed');
  else logger.debug(fields, 'Request refused');
}

const FASTIFY_ERRORS: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: ['payload_too_large', 'The body is larger than this route takes. Send less at once.'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: [
    'unsupported_media_type',
    'This route does not read this content-type. Send application/json.',
  ],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: [
    'invalid_request',
    'The body is shorter or longer than its content-length says.',
  ],
  FST_ERR_CTP_EMPTY_JSON_BODY: ['invalid_json', 'The body is empty. Send a JSON object.'],
  FST_ERR_BAD_URL: ['invalid_request', 'The path is not a valid URL: check its percent-encoding.'],
  FST_ERR_INVALID_URL: ['invalid_request', 'The path is not a valid URL.'],
  FST_ERR_MAX_PARAM_LENGTH: ['route_not_found', 'A part of the path is too long.'],
  FST_INVALID_MULTIPART_CONTENT_TYPE: ['unsupported_media_type', 'Send multipart/form-data with a boundary.'],
  FST_MP_PREMATURE_CLOSE: ['request_aborted', 'The upload broke off.'],
  FST_PARTS_LIMIT: ['payload_too_large', 'The form has too many parts. Send fewer files at once.'],
  FST_FILES_LIMIT: ['payload_too_large', 'The form has too many files. Send fewer at once.'],
  FST_FIELDS_LIMIT: ['payload_too_large', 'The form has too many fields.'],
  FST_REQ_FILE_TOO_LARGE: ['payload_too_large', 'A file is larger than this server takes.'],
  FST_PROTO_VIOLATION: ['invalid_request', 'A field of the form has a name that is not allowed.'],
  FST_INVALID_JSON_FIELD_ERROR: ['invalid_json', 'A field of the form is not the JSON that its content-type says.'],
};

/** An error of the framework in our words; null when it is none that a client causes. */
export function fromFastify(error: unknown): AppError | null {
  if (error instanceof AppError || !(error instanceof Error)) return null;
  const { code, statusCode } = error as Partial<FastifyError>;
  const known = code === undefined ? undefined : FASTIFY_ERRORS[code];
  if (known !== undefined) return new AppError(known[0], known[1], { cause: error });
  if (statusCode === undefined || statusCode < 400 || statusCode >= 500) return null;
  return new AppError('invalid_request', 'The request could not be read. Check its headers and body.', {
    cause: error,
  });
}
