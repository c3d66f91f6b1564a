import { hostname } from 'node:os';
import { gunzipSync, inflateSync } from 'node:zlib';
import type { JsonObject, JsonValue } from '../../kernel/index.ts';
import { type CeleryTaskError, notPossible } from './failures.ts';
import type { CeleryEnvelope, CelerySignature, CeleryTask } from './ports.ts';

/** Larger bodies are refused unread; content of that size is better uploaded. */
export const MAX_BODY_BYTES = 16 * 1024 ** 2;
const MAX_NAME = 500;
const MAX_DEPTH = 200;

export type ReadMessage =
  | { readonly type: 'task'; readonly task: CeleryTask }
  /** With an id its caller can be told; without, nobody can. */
  | { readonly type: 'refused'; readonly id: string | null; readonly name: string; readonly error: CeleryTaskError };

/**
 * The task in a message of Celery's protocol 2 (docs.celeryq.dev, "Message Protocol"): properties of the task in headers, the body
 * `[args, kwargs, embed]` in JSON. Never throws.
 */
export function readTask(envelope: CeleryEnvelope): ReadMessage {
  const { headers } = envelope;
  const id = nameIn(headers['id']) ?? envelope.correlationId;
  const name = nameIn(headers['task']);
  const refused = (message: string): ReadMessage => ({
    ...{ type: 'refused', id, name: name ?? '', error: notPossible(message) },
  });
  if (name === null || id === null) return refused('This is no task of message protocol 2 (task_protocol = 2).');
  const body = bodyOf(envelope);
  if (typeof body === 'string') return refused(body);
  const [args, kwargs, embed] = body;
  const callbacks = signatures(embed['callbacks']);
  const errbacks = signatures(embed['errbacks']);
  const chain = signatures(embed['chain']);
  if (callbacks === null || errbacks === null || chain === null) {
    return refused('Only plain tasks can be linked or chained to this one, no groups or chords.');
  }
  if (isSet(embed['chord'])) return refused('Tasks of a chord cannot be run here: its counting is Python’s.');
  const eta = timeOf(headers['eta']);
  const expires = timeOf(headers['expires']);
  if (Number.isNaN(eta) || Number.isNaN(expires)) return refused('eta and expires must be ISO 8601 times.');
  return {
    type: 'task',
    task: {
      ...{ id, name, args, kwargs, eta, expires, callbacks, errbacks, chain, envelope },
      retries: countOf(headers['retries']),
      timeLimitMs: timeLimitOf(headers['timelimit']),
      rootId: nameIn(headers['root_id']) ?? id,
      parentId: nameIn(headers['parent_id']),
      group: nameIn(headers['group']),
      ignoreResult: headers['ignore_result'] === true,
    },
  };
}

export interface TaskRequest {
  readonly id: string;
  readonly name: string;
  readonly args?: readonly JsonValue[];
  readonly kwargs?: JsonObject;
  /** Milliseconds since 1970. */
  readonly eta?: number | null;
  readonly expires?: number | null;
  readonly retries?: number;
  readonly priority?: number;
  readonly replyTo?: string | null;
  readonly rootId?: string;
  readonly parentId?: string | null;
  readonly ignoreResult?: boolean;
  /** More headers, as `apply_async(headers=...)` adds them. */
  readonly headers?: JsonObject;
  readonly chain?: readonly JsonValue[];
  readonly callbacks?: readonly JsonValue[];
  readonly errbacks?: readonly JsonValue[];
}

/** The message that asks for a task, as a Python client would write it. */
export function writeTask(request: TaskRequest): CeleryEnvelope {
  const { id, name, args = [], kwargs = {} } = request;
  const timeText = (time: number | null | undefined): string | null =>
    time === null || time === undefined ? null : new Date(time).toISOString().replace('Z', '+00:00');
  const embed = {
    callbacks: request.callbacks ?? null,
    errbacks: request.errbacks ?? null,
    chain: request.chain ?? null,
    chord: null,
  };
  return {
    headers: {
      ...request.headers,
      lang: 'js',
      task: name,
      id,
      shadow: null,
      eta: timeText(request.eta),
      expires: timeText(request.expires),
      group: null,
      group_index: null,
      retries: request.retries ?? 0,
      timelimit: [null, null],
      root_id: request.rootId ?? id,
      parent_id: request.parentId ?? null,
      argsrepr: short(args),
      kwargsrepr: short(kwargs),
      origin: `${process.pid}@${hostname()}`,
      ignore_result: request.ignoreResult ?? false,
    },
    contentType: 'application/json',
    contentEncoding: 'utf-8',
    correlationId: id,
    replyTo: request.replyTo ?? null,
    priority: request.priority ?? 0,
    body: Buffer.from(JSON.stringify([args, kwargs, embed])),
  };
}

/** The same task once more: later, and counted. */
export function againLater({ envelope, retries }: CeleryTask, eta: number): CeleryEnvelope {
  const time = new Date(eta).toISOString().replace('Z', '+00:00');
  return { ...envelope, headers: { ...envelope.headers, eta: time, retries: retries + 1 } };
}

/** The three parts of the body, or why they cannot be had. */
function bodyOf(envelope: CeleryEnvelope): [readonly JsonValue[], JsonObject, JsonObject] | string {
  const { contentType, contentEncoding } = envelope;
  if (contentType !== 'application/json') {
    return 'Only JSON is read here (task_serializer = "json"); other formats could hold code.';
  }
  if (!/^(utf-?8|us-ascii)$/i.test(contentEncoding)) return 'Only UTF-8 is read here.';
  if (envelope.body.length > MAX_BODY_BYTES) return `A message may have ${MAX_BODY_BYTES} bytes at most.`;
  let parsed: unknown;
  try {
    parsed = JSON.parse(unpacked(envelope).toString('utf8'));
  } catch {
    return 'The body is no JSON.';
  }
  if (depthOf(parsed) > MAX_DEPTH) return 'The body is nested too deep.';
  if (!Array.isArray(parsed)) return 'The body is no [args, kwargs, embed]: only message protocol 2 is read here.';
  const [args, kwargs, embed] = parsed as readonly unknown[];
  if (!Array.isArray(args) || !isObject(kwargs)) return 'The body is no [args, kwargs, embed].';
  return [args as readonly JsonValue[], kwargs, isObject(embed) ? embed : {}];
}

/** Undoes `task_compression`. Rejects what would grow beyond the limit. */
function unpacked({ headers, body }: CeleryEnvelope): Buffer {
  const limit = { maxOutputLength: MAX_BODY_BYTES };
  // What Celery calls gzip is written by zlib.
  if (headers['compression'] === 'application/x-gzip') {
    return body[0] === 0x1f ? gunzipSync(body, limit) : inflateSync(body, limit);
  }
  return body;
}

function signatures(value: JsonValue | undefined): readonly CelerySignature[] | null {
  if (!isSet(value)) return [];
  if (!Array.isArray(value)) return null;
  const read = value.map(signatureOf);
  return read.some((signature) => signature === null) ? null : (read as CelerySignature[]);
}

function signatureOf(value: JsonValue): CelerySignature | null {
  if (!isObject(value)) return null;
  const { task, args, kwargs, options, immutable, subtask_type: kind } = value;
  const name = nameIn(task);
  if (name === null || isSet(kind)) return null;
  return {
    task: name,
    args: Array.isArray(args) ? args : [],
    kwargs: isObject(kwargs) ? kwargs : {},
    options: isObject(options) ? options : {},
    immutable: immutable === true,
  };
}

/** Null: no time; NaN: none that can be read. A time without a zone is UTC, as Celery's default has it. */
function timeOf(value: JsonValue | undefined): number | null {
  if (!isSet(value)) return null;
  if (typeof value !== 'string') return Number.NaN;
  const hasZone = /(Z|[+-]\d\d:?\d\d)$/i.test(value);
  const cut = value.replace(/(\.\d{3})\d+/, '$1');
  const time = Date.parse(hasZone ? cut : `${cut}Z`);
  // Microseconds are rounded up: never early.
  return /\.\d{3}0*[1-9]/.test(value) ? time + 1 : time;
}

/** `[hard, soft]` in seconds. */
function timeLimitOf(value: JsonValue | undefined): number | null {
  const limits = (Array.isArray(value) ? value : []).filter(
    (limit): limit is number => typeof limit === 'number' && limit > 0,
  );
  return limits.length === 0 ? null : Math.min(...limits) * 1000;
}

function depthOf(value: unknown): number {
  let depth = 0;
  for (let level: unknown[] = [value]; level.length > 0 && depth <= MAX_DEPTH; depth += 1) {
    level = level.flatMap((part) => (typeof part === 'object' && part !== null ? Object.values(part) : []));
  }
  return depth;
}

/** As Python's `argsrepr`: for people who look at a monitor. */
function short(value: JsonValue): string {
  const text = JSON.stringify(value);
  return text.length > 200 ? `${text.slice(0, 200)}...` : text;
}

function countOf(value: JsonValue | undefined): number {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 ? value : 0;
}

function nameIn(value: JsonValue | undefined): string | null {
  return typeof value === 'string' && value !== '' && value.length <= MAX_NAME ? value : null;
}

function isSet(value: JsonValue | undefined): value is Exclude<JsonValue, null> {
  return value !== undefined && value !== null && !(Array.isArray(value) && value.length === 0);
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
