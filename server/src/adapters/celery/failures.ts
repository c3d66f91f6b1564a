import { type JsonValue, toAppError } from '../../kernel/index.ts';
import type { CeleryResult } from './ports.ts';

/** An exception of Python, thrown there or to be raised there. */
export class CeleryTaskError extends Error {
  override readonly name = 'CeleryTaskError';
  /** The class of the exception, `ValueError` say. */
  readonly type: string;
  readonly module: string;
  /** The text of the other side. */
  readonly traceback: string | null;
  readonly retryable: boolean;
  readonly retryAfterMs: number | null;

  constructor(
    message: string,
    details: {
      readonly type: string;
      readonly module?: string;
      readonly traceback?: string | null;
      readonly retryable?: boolean;
      readonly retryAfterMs?: number | null;
      readonly cause?: unknown;
    },
  ) {
    super(message, { cause: details.cause });
    this.type = details.type;
    this.module = details.module ?? 'builtins';
    this.traceback = details.traceback ?? null;
    this.retryable = details.retryable ?? false;
    this.retryAfterMs = details.retryAfterMs ?? null;
  }
}

/** Exceptions that Python has by itself, so that who calls needs no package of ours to catch them. */
const TYPES: readonly (readonly [RegExp, string])[] = [
  [/api_key|insufficient_scope|origin_not_allowed/, 'PermissionError'],
  [/_not_found$/, 'LookupError'],
  [/timeout|deadline/, 'TimeoutError'],
  [/unreachable|unavailable|draining|starting/, 'ConnectionError'],
  [
    /^(invalid_|url_|empty_content|binary_content|unsupported_|content_too_large|payload_too_large|context_length|idempotency_key)/,
    'ValueError',
  ],
];

/** Any failure as an exception for Python; its text begins with the stable code. */
export function toTaskError(error: unknown): CeleryTaskError {
  if (error instanceof CeleryTaskError) return error;
  const { code, message, retryable, retryAfterMs } = toAppError(error);
  const type = TYPES.find(([pattern]) => pattern.test(code))?.[1] ?? 'RuntimeError';
  return new CeleryTaskError(`${code}: ${message}`, {
    ...{ type, retryable, retryAfterMs: retryAfterMs ?? null, cause: error },
  });
}

/** The exception as results hold it: Python builds it anew from the three. */
export function exceptionOf({ type, module, message }: CeleryTaskError): JsonValue {
  return { exc_type: type, exc_message: [message], exc_module: module };
}

/** What Python shows below its own lines. Nothing of this side's files is told. */
export function tracebackOf(error: CeleryTaskError, task: { readonly id: string; readonly name: string }): string {
  return `Traceback (most recent call last):\n  In ChatSphere, task ${task.name}[${task.id}]\n${error.type}: ${error.message}\n`;
}

/** The exception that a result of Python holds. */
export function errorOf({ status, result, traceback }: Pick<CeleryResult, 'status' | 'result' | 'traceback'>) {
  const given = typeof result === 'object' && result !== null && !Array.isArray(result) ? result : {};
  const { exc_type: type, exc_message: message, exc_module: module } = given as Record<string, JsonValue>;
  const text = Array.isArray(message) ? message.map(textOf).join(', ') : textOf(message ?? result);
  return new CeleryTaskError(text, {
    type: typeof type === 'string' ? type : status === 'REVOKED' ? 'TaskRevokedError' : 'Exception',
    module: typeof module === 'string' ? module : 'celery.exceptions',
    traceback,
  });
}

/** What a task here cannot do, told before anything of it is done. */
export function notPossible(message: string): CeleryTaskError {
  return new CeleryTaskError(message, { type: 'NotImplementedError' });
}

export function notRegistered(name: string): CeleryTaskError {
  return new CeleryTaskError(name, { type: 'NotRegistered', module: 'celery.exceptions' });
}

function textOf(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : JSON.stringify(value ?? null);
}
