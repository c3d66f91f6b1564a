import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { AppError } from '../../kernel/index.ts';
import type { BlobStore, SourceInput, SourceType, WebSource } from '../../store/index.ts';
import { findFault } from '../loaders/content-loader.ts';
import { NOTE_MEDIA_TYPE, QA_MEDIA_TYPE } from '../loaders/file-type.ts';
import { cleanText, hasContent } from '../loaders/text-cleaning.ts';
import type { QuestionAndAnswer, SourceContent, UploadedFile, WebContent } from '../ports.ts';

/** What a source is made from, its bytes durable in the blob store. */
export interface StoredContent {
  readonly type: SourceType;
  readonly title: string;
  readonly inputs: readonly SourceInput[];
  /** SHA-256 over names, media types and bytes of the inputs, hex. */
  readonly contentHash: string;
  /** Null: not fetched from the web. */
  readonly url: string | null;
  readonly web: WebSource | null;
}

/** Inputs up to this size are looked through at once; larger ones are judged by their first bytes. */
const LOOKED_THROUGH_BYTES = 65_536;
const LONGEST_NAME = 500;
const LONGEST_TITLE = 300;

/**
 * Puts content into the blob store as a stream, with bounded memory.
 *
 * @throws AppError `empty_content`, `binary_content`, `unsupported_file_type`, `invalid_encoding` when no input can be
 *   trained on (one good file among several is enough: the others are refused one by one later); `content_too_large`
 *   when an input exceeds `maxBytes`; `invalid_request` without any file. Bytes that nothing refers to are swept later.
 */
export async function storeContent(
  content: UploadedContent,
  options: { readonly blobs: Pick<BlobStore, 'put'>; readonly maxBytes: number },
): Promise<StoredContent> {
  const uploads: CheckedInput[] = [];
  for await (const file of filesOf(content)) uploads.push(await storeFile(file, options));
  if (uploads.length === 0) {
    throw new AppError('invalid_request', 'No file came with the request. Attach at least one.', { param: 'file' });
  }
  const fault = uploads[0]?.fault;
  if (fault && uploads.every((upload) => upload.fault !== null)) throw fault;
  const inputs = uploads.map((upload) => upload.input);
  const names = inputs.map((input) => input.name);
  const contentHash = hashOf(content.type, inputs);
  return { type: content.type, title: titleOf(content, names), inputs, contentHash, url: null, web: null };
}

type UploadedContent = Exclude<SourceContent, WebContent>;

interface CheckedInput {
  readonly input: SourceInput;
  readonly fault: AppError | null;
}

function filesOf(content: UploadedContent): Iterable<UploadedFile> | AsyncIterable<UploadedFile> {
  switch (content.type) {
    case 'text':
      if (!hasContent(content.content)) {
        throw new AppError('empty_content', 'The text is empty. Send some text in `content`.', { param: 'content' });
      }
      return [written(content.title, NOTE_MEDIA_TYPE, content.content)];
    case 'qa':
      checkPairs(content.items);
      return [written(titleOf(content, []), QA_MEDIA_TYPE, JSON.stringify(content.items))];
    case 'file':
      return content.files;
  }
}

function written(name: string, mediaType: string, text: string): UploadedFile {
  return { name, mediaType, content: Readable.from([Buffer.from(text, 'utf8')]) };
}

function checkPairs(items: readonly QuestionAndAnswer[]): void {
  if (items.length === 0) {
    throw new AppError('empty_content', 'The list of questions is empty. Send at least one in `items`.', {
      param: 'items',
    });
  }
  for (const [position, item] of items.entries()) {
    for (const part of ['question', 'answer'] as const) {
      if (hasContent(item[part])) continue;
      const param = `items[${position}].${part}`;
      throw new AppError('empty_content', `\`${param}\` is empty. Fill it in or leave the item out.`, { param });
    }
  }
}

async function storeFile(
  file: UploadedFile,
  { blobs, maxBytes }: { readonly blobs: Pick<BlobStore, 'put'>; readonly maxBytes: number },
): Promise<CheckedInput> {
  const name = cleanName(file.name);
  const head: Buffer[] = [];
  const { hash, bytes } = await blobs.put(Readable.from(keepHead(file.content, head), { objectMode: false }), {
    maxBytes,
  });
  const source = { name, mediaType: file.mediaType };
  const whole = bytes <= LOOKED_THROUGH_BYTES;
  return { input: { ...source, blobHash: hash, bytes }, fault: findFault(Buffer.concat(head), source, whole) };
}

/** Passes the stream on and keeps a copy of its first bytes. */
async function* keepHead(content: Readable, head: Buffer[]): AsyncGenerator<Buffer> {
  let kept = 0;
  for await (const part of content) {
    const bytes = Buffer.isBuffer(part) ? part : Buffer.from(part);
    if (kept < LOOKED_THROUGH_BYTES) {
      head.push(Buffer.from(bytes.subarray(0, LOOKED_THROUGH_BYTES - kept)));
      kept += bytes.length;
    }
    yield bytes;
  }
}

/** Folders of an uploaded path are kept, to tell files of the same name apart. */
function cleanName(name: string): string {
  const clean = cleanText(name).replace(/\s+/g, ' ').replaceAll('\\', '/').replace(/^\/+/, '');
  return clean.slice(-LONGEST_NAME) || 'unnamed';
}

function titleOf(content: UploadedContent, names: readonly string[]): string {
  const given = cleanText(content.title ?? '')
    .replace(/\s+/g, ' ')
    .slice(0, LONGEST_TITLE);
  if (given !== '') return given;
  if (content.type !== 'file') return content.type === 'qa' ? 'Questions and answers' : 'Text';
  const more = names.length - 1;
  const first = (names[0] ?? '').slice(-LONGEST_TITLE);
  if (more === 0) return first;
  return `${first} and ${more} more`;
}

function hashOf(type: SourceType, inputs: readonly SourceInput[]): string {
  const parts = inputs.map(({ name, mediaType, blobHash }) => [name, mediaType, blobHash]);
  return createHash('sha256')
    .update(JSON.stringify([type, parts]))
    .digest('hex');
}
