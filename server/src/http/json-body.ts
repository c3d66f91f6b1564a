import { createHash } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { AppError, type JsonValue } from '../kernel/index.ts';
import type { ZodApp } from './zod-app.ts';

const MAX_DEPTH = 64;
const LONE_SURROGATE = /\p{Surrogate}/u;
/** Nothing but this can be half of a pair; looking for it is much cheaper. */
const MAY_BE_SURROGATE = /[\ud800-\udfff]/;
const STRICT_UTF8 = new TextDecoder('utf-8', { fatal: true });

/** Reads JSON bodies; an empty body is no body. */
export function addJsonBodyParser(app: ZodApp): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser<Buffer>(
    'application/json',
    { parseAs: 'buffer' },
    async (request: FastifyRequest, bytes: Buffer) => {
      if (request.headers['idempotency-key'] !== undefined) {
        request.bodyHash = createHash('sha256').update(bytes).digest('hex');
      }
      return bytes.length === 0 ? undefined : parseJsonBody(bytes);
    },
  );
}

/**
 * Parses and checks a JSON text. Rejects with `invalid_json` what is not UTF-8 or not JSON, is nested deeper than 64
 * levels, or has keys that reach into prototypes; with `invalid_request` what holds text that some later layer could trip over:
 * NUL and lone surrogates.
 */
export function parseJsonBody(bytes: Uint8Array): JsonValue {
  const value = parse(decode(bytes));
  checkTree(value);
  return value;
}

function decode(bytes: Uint8Array): string {
  try {
    return STRICT_UTF8.decode(bytes);
  } catch {
    throw new AppError('invalid_json', 'The body is not UTF-8. Encode the JSON as UTF-8.');
  }
}

function parse(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    throw new AppError('invalid_json', 'The body is not valid JSON. Check quotes, commas and brackets.');
  }
}

interface Node {
  readonly value: JsonValue;
  readonly path: string;
  readonly depth: number;
}

/** Walks without recursion: a bomb of brackets must not overflow the stack. */
function checkTree(root: JsonValue): void {
  const open: Node[] = [{ value: root, path: '', depth: 0 }];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (typeof node.value === 'string') checkText(node.value, node.path);
    else if (typeof node.value === 'object' && node.value !== null) open.push(...childrenOf(node));
  }
}

function childrenOf({ value, path, depth }: Node): Node[] {
  if (depth >= MAX_DEPTH) throw new AppError('invalid_json', `The body is nested deeper than ${MAX_DEPTH} levels.`);
  if (Array.isArray(value)) {
    return value.map((item: JsonValue, index) => ({ value: item, path: `${path}[${index}]`, depth: depth + 1 }));
  }
  return Object.entries(value as Record<string, JsonValue>).map(([key, item]) => {
    checkText(key, path);
    if (key === '__proto__' || (key === 'constructor' && hasPrototypeKey(item))) {
      throw new AppError('invalid_json', `The key "${key}" is not allowed.`, paramAt(path));
    }
    return { value: item, path: path === '' ? key : `${path}.${key}`, depth: depth + 1 };
  });
}

function hasPrototypeKey(value: JsonValue): boolean {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, 'prototype');
}

function checkText(text: string, path: string): void {
  if (text.includes('\0')) {
    throw new AppError('invalid_request', 'Text may not hold NUL characters (\\u0000). Remove them.', paramAt(path));
  }
  if (MAY_BE_SURROGATE.test(text) && LONE_SURROGATE.test(text)) {
    throw new AppError(
      'invalid_request',
      'Text may not hold half of a surrogate pair. Send whole characters.',
      paramAt(path),
    );
  }
}

function paramAt(path: string): { readonly param?: string } {
  return path === '' ? {} : { param: path.slice(0, 200) };
}
