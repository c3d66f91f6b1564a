import { createHash, type Hash } from 'node:crypto';
import { once } from 'node:events';
import { finished, type Readable, Transform } from 'node:stream';
import type { Multipart, MultipartFile, MultipartValue } from '@fastify/multipart';
import type { FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { AppError } from '../kernel/index.ts';
import type { SourceContent, SourceOptions, UploadedFile } from '../training/index.ts';
import type { UploadFields } from './contract/index.ts';
import { fromFastify } from './error-response.ts';
import { parseJsonBody } from './json-body.ts';
import { chunkingOf } from './mappers/chunking.ts';
import { requireSplitterOf, type SplitterCheckOptions } from './splitter-check.ts';
import { invalidRequest } from './zod-validation.ts';

const MAX_FIELDS = 20;
const MAX_FIELD_BYTES = 100_000;
const MAX_FILES = 1000;
/** A name may be a whole key. */
const MAX_NAME_LENGTH = 500;
const MAX_TYPE_LENGTH = 255;
/** Fields of a form that hold JSON. */
const JSON_FIELDS: ReadonlySet<string> = new Set(['metadata', 'chunking_strategy']);

/** A form on its way in. Both parts are complete when `content.files` has been read to its end. */
export interface Upload {
  readonly content: Extract<SourceContent, { readonly type: 'file' }>;
  /** `metadata` and `externalKey`, wherever in the form they stand. */
  readonly options: SourceOptions;
}

export interface UploadRules extends SplitterCheckOptions {
  /** Which fields the form may have. */
  readonly fields: z.ZodType<UploadFields>;
  /** All files together. */
  readonly maxBytes: number;
}

/**
 * Reads a form as a stream: no file is held in memory or on disk here. Fields may stand before, between or after the
 * files. `files` throws `payload_too_large`, or `invalid_request` for a damaged form, an unknown or wrong field, or no
 * file at all; `request_aborted` when the client leaves.
 */
export function readUpload(request: FastifyRequest, rules: UploadRules): Upload {
  requireSize(request, rules.maxBytes);
  const options: { -readonly [Name in keyof SourceOptions]: SourceOptions[Name] } = {};
  const content: { type: 'file'; title?: string; files: AsyncIterable<UploadedFile> } = {
    type: 'file',
    files: readFiles(request, rules, async (fields) => {
      if (fields.title !== undefined) content.title = fields.title;
      if (fields.external_key !== undefined) options.externalKey = fields.external_key;
      if (fields.metadata !== undefined) options.metadata = fields.metadata;
      if (fields.chunking_strategy !== undefined) {
        await requireSplitterOf(fields.chunking_strategy, rules);
        options.chunking = chunkingOf(fields.chunking_strategy, rules.chunkingModules);
      }
    }),
  };
  return { content, options };
}

/** A body that is one file, as a stream that fails with `payload_too_large` when there is more of it than `maxBytes`. */
export function limitedBody(request: FastifyRequest, body: Readable, maxBytes: number): Readable {
  requireSize(request, maxBytes);
  return countedContent(body, { bytesLeft: maxBytes, maxBytes });
}

/** The result of work on an upload; when it fails, the rest of the body is read and dropped, so that the answer arrives. */
export async function drainUpload<Result>(request: FastifyRequest, work: Promise<Result>): Promise<Result> {
  try {
    return await work;
  } catch (error) {
    request.raw.unpipe();
    request.raw.resume();
    throw error;
  }
}

/** Reads a form to its end, keeping nothing, and returns the digest that `readUpload` leaves in `request.bodyHash`. */
export async function digestUpload(request: FastifyRequest): Promise<string> {
  const digest = createHash('sha256');
  for await (const part of partsOf(request)) {
    if (part.type === 'field') digestField(digest, part);
    else {
      digestName(digest, part);
      for await (const bytes of part.file) digest.update(bytes as Buffer);
    }
  }
  return digest.digest('hex');
}

function requireSize(request: FastifyRequest, maxBytes: number): void {
  if (Number(request.headers['content-length'] ?? 0) > maxBytes + MAX_FIELDS * MAX_FIELD_BYTES)
    throw tooLarge(maxBytes);
}

async function* readFiles(
  request: FastifyRequest,
  rules: UploadRules,
  onFields: (fields: UploadFields) => Promise<void>,
): AsyncGenerator<UploadedFile> {
  const digest = createHash('sha256');
  const values = new Map<string, unknown>();
  const budget = { bytesLeft: rules.maxBytes, maxBytes: rules.maxBytes };
  let files = 0;
  for await (const part of partsOf(request)) {
    if (part.type === 'field') {
      digestField(digest, part);
      keepField(values, part);
      continue;
    }
    requireFileField(part);
    files += 1;
    digestName(digest, part);
    const content = countedContent(part.file, budget, digest);
    yield { name: safeName(part.filename), mediaType: part.mimetype.toLowerCase().slice(0, MAX_TYPE_LENGTH), content };
    await readToEnd(content);
  }
  if (files === 0) throw new AppError('invalid_request', 'file: Send at least one file.', { param: 'file' });
  await onFields(checkFields(values, rules.fields));
  request.bodyHash = digest.digest('hex');
}

async function* partsOf(request: FastifyRequest): AsyncGenerator<Multipart> {
  const limits = {
    fields: MAX_FIELDS,
    fieldSize: MAX_FIELD_BYTES,
    files: MAX_FILES,
    fileSize: Number.POSITIVE_INFINITY,
  };
  try {
    yield* request.parts({ limits, preservePath: true });
  } catch (error) {
    throw formError(error);
  }
}

function formError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  return (
    fromFastify(error) ??
    new AppError('invalid_request', 'The form is damaged: send multipart/form-data with every part closed.', {
      cause: error,
    })
  );
}

/** The bytes of a file, counted and hashed on their way; fails when all files together are too large. */
function countedContent(
  file: Readable,
  budget: { bytesLeft: number; readonly maxBytes: number },
  digest?: Hash,
): Readable {
  const counted = new Transform({
    transform(bytes: Buffer, _encoding, done) {
      budget.bytesLeft -= bytes.length;
      digest?.update(bytes);
      done(budget.bytesLeft < 0 ? tooLarge(budget.maxBytes) : null, bytes);
    },
  });
  // It may fail before anybody reads it: whoever reads it later still gets the error.
  counted.on('error', () => {});
  // Also told of a file that broke off before it was handed out here.
  finished(file, (error) => {
    if (error) counted.destroy(isBrokenOff(error) ? brokenOff() : formError(error));
  });
  file.pipe(counted);
  return counted;
}

function isBrokenOff(error: NodeJS.ErrnoException): boolean {
  return error.code === 'ERR_STREAM_PREMATURE_CLOSE';
}

function brokenOff(): AppError {
  return new AppError('request_aborted', 'The upload broke off.');
}

/** The form goes on only when a file has been read; a consumer may have stopped early. */
async function readToEnd(content: Readable): Promise<void> {
  if (content.readableEnded) return;
  if (content.errored) throw content.errored;
  if (content.destroyed) throw new AppError('request_aborted', 'The upload was not read to its end.');
  content.resume();
  await once(content, 'end');
}

function keepField(values: Map<string, unknown>, part: MultipartValue): void {
  const { fieldname: name } = part;
  if (part.fieldnameTruncated || part.valueTruncated) {
    throw new AppError('payload_too_large', 'A field of the form is too long.', { param: name.slice(0, 100) });
  }
  if (values.has(name)) throw new AppError('invalid_request', `${name}: Send this field once.`, { param: name });
  values.set(name, part.value);
}

function checkFields(values: ReadonlyMap<string, unknown>, schema: z.ZodType<UploadFields>): UploadFields {
  const given = Object.fromEntries(
    [...values].map(([name, value]) => [name, JSON_FIELDS.has(name) ? asJson(name, value) : value]),
  );
  parseJsonBody(Buffer.from(JSON.stringify(given)));
  const result = schema.safeParse(given);
  if (!result.success) throw invalidRequest(result.error);
  return result.data;
}

function asJson(name: string, value: unknown): unknown {
  if (typeof value !== 'string') return value;
  try {
    return parseJsonBody(Buffer.from(value));
  } catch (error) {
    throw new AppError('invalid_json', `${name}: This field of the form must be a JSON object.`, {
      param: name,
      cause: error,
    });
  }
}

function requireFileField(part: MultipartFile): void {
  if (part.fieldname === 'file') return;
  const param = part.fieldname.slice(0, 100);
  throw new AppError('invalid_request', `${param}: Send files in fields that are named "file".`, { param });
}

/** A name to show and to tell the type by, with its folders; it is never used as a path. */
function safeName(name: string | undefined): string {
  const shown = (name ?? '').replace(/[\p{Cc}\p{Surrogate}]/gu, '');
  return shown === '' ? 'file' : shown.slice(-MAX_NAME_LENGTH);
}

function digestName(digest: Hash, part: MultipartFile): void {
  digest.update(`\0file\0${part.filename}\0${part.mimetype}\0`);
}

function digestField(digest: Hash, part: MultipartValue): void {
  digest.update(`\0field\0${part.fieldname}\0${JSON.stringify(part.value)}\0`);
}

function tooLarge(maxBytes: number): AppError {
  return new AppError(
    'payload_too_large',
    `An upload may hold ${maxBytes} bytes. Send fewer or smaller files at once.`,
  );
}
