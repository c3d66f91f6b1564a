import type { StageContext } from '../../jobs/index.ts';
import { AppError, type ErrorCode, type Logger } from '../../kernel/index.ts';
import type { BlobStore, ChunkingStrategy, NewDocument, SourceInput } from '../../store/index.ts';
import type { RefusedPart } from '../loaders/loaded-text.ts';
import type { DocumentParser, ParsedDocument } from '../ports.ts';
import { fileNameOf } from '../web/page-names.ts';
import { createPartReader } from './part-reader.ts';
import type { TrainingWork } from './training-work.ts';

export interface InputOfSource {
  readonly input: SourceInput;
  /** Of the input within its source. */
  readonly position: number;
  readonly fallbackTitle: string;
  readonly chunking: ChunkingStrategy;
  /** Where to begin, when an earlier run has stopped there. */
  readonly start?: InputPoint;
}

/** A place between two parts of an input. */
export interface InputPoint {
  /** The parser's cursor; null: the input's begin. */
  readonly from: string | null;
  /** Documents before it. */
  readonly count: number;
}

export interface InputDocumentsOptions {
  readonly work: TrainingWork;
  readonly context: StageContext;
  readonly blobs: Pick<BlobStore, 'localPath'>;
  readonly parser: Pick<DocumentParser, 'parse'>;
  readonly logger: Logger;
}

export interface MadeDocument {
  readonly document: NewDocument;
  /** How many more the input will give, as far as that can be told. */
  readonly ahead: number;
  /** Where to go on after this document, if it is the last of its part; `end`: with the next input. */
  readonly next: InputPoint | 'end' | null;
}

/**
 * The documents of one input as they are parsed, part by part, those that cannot be used as refused ones. Their ids count
 * on through all parts, so that the same input gives the same ids again. An input that breaks off ends with a refusal.
 */
export async function* documentsOfInput(
  { input, position, fallbackTitle, chunking, start = { from: null, count: 0 } }: InputOfSource,
  options: InputDocumentsOptions,
): AsyncGenerator<MadeDocument> {
  const { work, blobs, parser, context } = options;
  const path = await blobs.localPath(input.blobHash, context.signal);
  let { count } = start;
  const name = input.url === undefined ? input.name : fileNameOf(input.url, input.mediaType);
  const onUnusable = (code: ErrorCode): void =>
    options.logger.info({ source: work.sourceId, job: context.job.id, code }, 'An input cannot be trained on');
  const file = { path, name, bytes: input.bytes, mediaType: input.mediaType, fallbackTitle, chunking };
  const read = createPartReader(file, { parser, signal: context.signal, onUnusable });
  for (let { from } = start; ; ) {
    const part = await read(from);
    const size = part.documents.length + part.refusals.length;
    const ahead = part.share === null || part.share <= 0 ? 0 : Math.ceil((count + size) / part.share) - count - size;
    for (const [place, made] of [...part.documents, ...part.refusals].entries()) {
      const id = work.ids.document(position, count);
      count += 1;
      const document = 'chunks' in made ? documentOf(work, { id, made, input }) : refusedDocument(id, made, input);
      const after: InputPoint | 'end' = part.next === null ? 'end' : { from: part.next, count };
      yield { document, ahead: ahead + size - place - 1, next: place === size - 1 ? after : null };
    }
    if (part.next === null) return;
    if (part.next === from) throw new AppError('internal_error', `Parsing "${input.name}" does not get on.`);
    from = part.next;
  }
}

function documentOf(
  { ids }: TrainingWork,
  { id, made, input }: { readonly id: string; readonly made: ParsedDocument; readonly input: SourceInput },
): NewDocument {
  const { name, chunks, signature, ...document } = made;
  const origin = {
    url: input.url ?? document.url,
    inputName: input.url === undefined ? name : input.name,
    trainedAs: input.trainedAs ?? null,
  };
  return {
    document: { ...document, ...origin, id, state: 'building', lastError: null },
    chunks: chunks.map((chunk) => ({ ...chunk, id: ids.chunk(id, chunk.position) })),
    ...(signature === undefined ? {} : { signature }),
  };
}

function refusedDocument(id: string, { name, code, message }: RefusedPart, input: SourceInput): NewDocument {
  const { url = null } = input;
  const nothing = {
    title: name,
    url,
    inputName: url === null ? name : input.name,
    contentHash: input.blobHash,
    text: '',
    tokens: 0,
  };
  return { document: { ...nothing, id, state: 'refused', lastError: { code, message } }, chunks: [] };
}
