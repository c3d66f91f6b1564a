import { type CeleryTask, CeleryTaskError, type CeleryTaskHandler } from '../adapters/celery/index.ts';
import type { ZodApp } from '../http/index.ts';
import { AppError, ERROR_CODES, type ErrorCode, type JsonObject, type JsonValue } from '../kernel/index.ts';

export interface CeleryTasksOptions {
  /** The whole HTTP side: tasks are its clients like all others, with keys, scopes, limits and checks. */
  readonly http: Pick<ZodApp, 'inject'>;
  /** The key of tasks that bring none; null: those are refused. */
  readonly apiKey: string | null;
}

/** The header of a task that holds its API key. */
const KEY_HEADER = 'chatsphere_key';
/** What a task may be given that is not of the source. */
const NOT_CONTENT = ['bot', 'text', 'wait', 'external_key', 'type'];
const ENDED = ['succeeded', 'failed', 'cancelled'];

interface Call {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly path: string;
  readonly body?: JsonObject;
}

/** The tasks that others may ask for through Celery, by name. */
export function createCeleryTasks({ http, apiKey }: CeleryTasksOptions): ReadonlyMap<string, CeleryTaskHandler> {
  /** Rejects with what the server answered. */
  async function call(task: CeleryTask, signal: AbortSignal, { method, path, body }: Call): Promise<JsonObject> {
    const given = task.envelope.headers[KEY_HEADER];
    const key = typeof given === 'string' ? given : apiKey;
    if (key === null) {
      const message = `This task brings no API key. Send one in headers={"${KEY_HEADER}": ...}, or set CELERY_API_KEY.`;
      throw new AppError('missing_api_key', message);
    }
    const response = await http.inject({
      method,
      url: path,
      signal,
      headers: {
        authorization: `Bearer ${key}`,
        // The same task twice, after a crash say, is the same request.
        ...(method === 'POST' ? { 'idempotency-key': `celery-${task.id}` } : {}),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { payload: JSON.stringify(body) }),
    });
    if (response.statusCode >= 400) throw failureIn(response.json(), response.headers['retry-after']);
    const type = String(response.headers['content-type']);
    return type.startsWith('application/json') ? response.json<JsonObject>() : {};
  }

  /** Until it has ended, in whatever way. Its row is the truth; the stream of its events ends about then. */
  async function jobEnded(task: CeleryTask, signal: AbortSignal, jobId: string): Promise<JsonObject> {
    for (;;) {
      signal.throwIfAborted();
      const job = await call(task, signal, { method: 'GET', path: `/v1/jobs/${jobId}` });
      if (ENDED.includes(String(job['status']))) return job;
      await call(task, signal, { method: 'GET', path: `/v1/jobs/${jobId}/events` });
    }
  }

  /** Trains a bot on one source and gives what became of it. The task's id names the source unless it has a key of its own. */
  async function train(task: CeleryTask, signal: AbortSignal): Promise<JsonValue> {
    const bot = part('bot', task);
    const key = segment('external_key', optional('external_key', task) ?? `celery:${task.id}`);
    const path = `/v1/bots/${bot}/sources/by-key/${key}`;
    const begun = await call(task, signal, { method: 'PUT', path, body: contentOf(task) });
    const sourcePath = `/v1/bots/${bot}/sources/${String(begun['id'])}`;
    const { job_id: jobId } = begun;
    if (task.kwargs['wait'] === false || typeof jobId !== 'string') return trained(begun, null);
    const job = await jobEnded(task, signal, jobId);
    const source = await call(task, signal, { method: 'GET', path: sourcePath });
    if (source['status'] === 'failed' || job['status'] !== 'succeeded') throw trainingFailure(source, job);
    return trained(source, job);
  }

  async function ask(task: CeleryTask, signal: AbortSignal): Promise<JsonValue> {
    const { conversation, user } = task.kwargs;
    const content = optional('question', task);
    if (content === null) throw needed('question');
    const body = {
      model: decodeURIComponent(part('bot', task)),
      messages: [{ role: 'user', content }],
      ...(conversation === undefined ? {} : { conversation }),
      ...(user === undefined ? {} : { user }),
    };
    const answer = await call(task, signal, { method: 'POST', path: '/v1/chat/completions', body });
    const [choice] = answer['choices'] as readonly JsonObject[];
    const message = (choice?.['message'] ?? {}) as JsonObject;
    const about = (message['chatsphere'] ?? answer['chatsphere'] ?? {}) as JsonObject;
    return { answer: message['content'] ?? null, ...about, usage: answer['usage'] ?? null };
  }

  async function search(task: CeleryTask, signal: AbortSignal): Promise<JsonValue> {
    const { bot: _, ...body } = task.kwargs;
    const path = `/v1/bots/${part('bot', task)}/search`;
    return (await call(task, signal, { method: 'POST', path, body }))['data'] ?? [];
  }

  /** What is gone already is as good as deleted: the task may come twice. */
  async function deleteSource(task: CeleryTask, signal: AbortSignal): Promise<JsonValue> {
    const source = part('source', task);
    const path = `/v1/bots/${part('bot', task)}/sources/${source}`;
    try {
      await call(task, signal, { method: 'DELETE', path });
      return { source_id: source, deleted: true };
    } catch (error) {
      if (error instanceof AppError && error.code === 'source_not_found') return { source_id: source, deleted: false };
      throw error;
    }
  }

  return new Map([
    ['chatsphere.train', train],
    ['chatsphere.ask', ask],
    ['chatsphere.search', search],
    ['chatsphere.delete_source', deleteSource],
  ]);
}

/** The source as the HTTP side takes it: `type` may be left out where the rest says it. */
function contentOf({ kwargs }: CeleryTask): JsonObject {
  const rest = Object.fromEntries(Object.entries(kwargs).filter(([name]) => !NOT_CONTENT.includes(name)));
  const { url, items, title, content } = rest;
  const text = kwargs['text'] ?? content;
  const type = kwargs['type'] ?? (url !== undefined ? 'url' : items !== undefined ? 'qa' : 'text');
  if (type !== 'text') return { ...rest, type };
  if (text !== undefined && typeof text !== 'string') throw new AppError('invalid_request', '`text` must be a string.');
  if (typeof text !== 'string') throw new AppError('invalid_request', 'Give `text`, `url` or `items` to train on.');
  const [firstLine = ''] = text.trim().split('\n');
  return { ...rest, type, content: text, title: title ?? (firstLine.slice(0, 80).trim() || 'Text') };
}

function trained(source: JsonObject, job: JsonObject | null): JsonValue {
  const { id, bot_id, job_id, status, title = null, external_key = null, counts, last_error = null } = source;
  const known = { source_id: id ?? null, bot_id: bot_id ?? null, job_id: job_id ?? job?.['id'] ?? null };
  return { ...known, state: status ?? null, title, external_key, counts: counts ?? null, last_error };
}

/** Why the training came to nothing: the content's own fault, or the job's. */
function trainingFailure(source: JsonObject, job: JsonObject): AppError {
  const given = (source['last_error'] ?? job['last_error'] ?? {}) as JsonObject;
  const message =
    typeof given['message'] === 'string' ? given['message'] : 'The training was ended before it was done.';
  const code = given['code'] ?? (job['status'] === 'cancelled' ? 'job_cancelled' : null);
  return new AppError(codeOf(code), `${message} (source ${String(source['id'])}, job ${String(job['id'])})`);
}

function failureIn(body: unknown, retryAfter: unknown): AppError {
  const error = ((body as JsonObject | null)?.['error'] ?? {}) as JsonObject;
  const seconds = Number(retryAfter);
  return new AppError(codeOf(error['code']), String(error['message'] ?? 'The server gave no reason.'), {
    retryable: error['retryable'] === true,
    ...(Number.isFinite(seconds) && seconds > 0 ? { retryAfterMs: seconds * 1_000 } : {}),
  });
}

function codeOf(code: JsonValue | undefined): ErrorCode {
  return ERROR_CODES.find((known) => known === code) ?? 'internal_error';
}

/** A name that becomes part of a path; required. */
function part(name: string, task: CeleryTask): string {
  const value = optional(name, task);
  if (value !== null) return segment(name, value);
  throw needed(name);
}

function needed(name: string): CeleryTaskError {
  return new CeleryTaskError(`invalid_request: The task needs ${name}=...`, { type: 'ValueError' });
}

/** A value as one part of a path. Throws for what would name another path, or is no text. */
function segment(name: string, value: string): string {
  try {
    if (value !== '.' && value !== '..') return encodeURIComponent(value);
  } catch {
    // Half a character.
  }
  throw new CeleryTaskError(`invalid_request: ${name} cannot have this value.`, { type: 'ValueError' });
}

function optional(name: string, { kwargs }: CeleryTask): string | null {
  const value = kwargs[name];
  return typeof value === 'string' && value !== '' ? value : null;
}
