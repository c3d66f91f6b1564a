import type { StageContext, StageResult } from '../../jobs/index.ts';
import { AppError, type Clock, type ErrorCode, type Logger } from '../../kernel/index.ts';
import type { BlobStore, NewDocument, Source, SourceInput, Store, TenantRepositories } from '../../store/index.ts';
import type { VectorStore } from '../../vector-store/index.ts';
import { NOTE_MEDIA_TYPE, QA_MEDIA_TYPE } from '../loaders/file-type.ts';
import type { DocumentParser, ParsedDocument } from '../ports.ts';
import { STAGE_PRIORITIES } from './training-job.ts';
import {
  changeSource,
  documentHeads,
  hasEarlierVersion,
  idsOf,
  sourceWithHeads,
  summarise,
  type TrainingWork,
  workOf,
} from './training-work.ts';

export interface LoadingOptions {
  readonly store: Pick<Store, 'forTenant'>;
  readonly blobs: Pick<BlobStore, 'pathOf'>;
  readonly parser: Pick<DocumentParser, 'parse'>;
  readonly vectors: Pick<VectorStore, 'deleteDocuments'>;
  readonly generation: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Faults of an input itself: it is refused, the other inputs go on. Anything else stops the stage. */
const FAULTS_OF_CONTENT: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'unsupported_file_type',
  'empty_content',
  'binary_content',
  'invalid_encoding',
  'content_too_large',
  'parse_failed',
  'parse_timeout',
  'password_protected',
  'no_text_layer',
  'too_many_pages',
  'unpack_limit_exceeded',
  'parse_out_of_memory',
]);

/** Documents and chunks that are written in one transaction: large enough to be quick, small enough to let others in. */
const BATCH_DOCUMENTS = 16;
const BATCH_CHUNKS = 128;
const EMBEDDING: StageResult = { type: 'next-stage', stage: 'embedding', priority: STAGE_PRIORITIES.embedding };

/**
 * Parses every input and stores its documents and chunks unseen. At the end the documents of a new source become
 * searchable by words; those of a replacement stay unseen until they are embedded. Inputs that cannot be used are kept as
 * refused documents; a source without any usable input fails with the first fault. Run again, it goes on with
 * the inputs that are not stored yet.
 */
export function createLoadingStage(options: LoadingOptions): (context: StageContext) => Promise<StageResult> {
  return async (context) => {
    const work = workOf(context.job, options.store, options.generation);
    const prepared = await prepare(work, context, options);
    if (prepared === 'loaded') return EMBEDDING;
    const loaded = await loadInputs(work, context, { ...options, ...prepared });
    await finish(work, context, { ...options, ...loaded });
    return EMBEDDING;
  };
}

interface Prepared {
  readonly source: Source;
  /** Documents that an earlier run of this stage has stored. */
  readonly stored: ReadonlySet<string>;
}

/** Clears away what other jobs left unfinished, and tells what of this one is there already. */
async function prepare(
  work: TrainingWork,
  { lease, signal }: StageContext,
  { vectors, clock }: LoadingOptions,
): Promise<Prepared | 'loaded'> {
  const result = await work.tenant.fencedTransaction(lease, async (repositories) => {
    const { source, heads } = await sourceWithHeads(work, repositories);
    const { usable, others } = summarise(work, heads);
    if (source.stage === 'embedding' && usable.length > 0) return null;
    const unfinished = idsOf(others.filter((head) => head.state === 'building'));
    // Refused inputs are tried again: the cause may have gone.
    const refused = idsOf(heads.filter((head) => head.state === 'refused' && work.ids.ownsDocument(head.id)));
    const total = source.inputs.length;
    await Promise.all([
      repositories.documents.delete([...unfinished, ...refused]),
      repositories.sources.update(source.id, {
        status: 'processing',
        stage: 'loading',
        progress: { done: Math.min(usable.length, total), total },
        lastError: null,
        updatedAt: clock.now(),
      }),
    ]);
    return { source, stored: new Set(usable), unfinished };
  });
  if (result === null) return 'loaded';
  if (result.unfinished.length > 0) await vectors.deleteDocuments(work.namespace, result.unfinished, signal);
  return result;
}

interface Loaded {
  /** Faults of the inputs that cannot be used. */
  readonly refusals: readonly AppError[];
  /** Documents that are not stored yet. */
  readonly rest: readonly NewDocument[];
}

async function loadInputs(
  work: TrainingWork,
  context: StageContext,
  options: LoadingOptions & Prepared,
): Promise<Loaded> {
  const { source, stored, clock } = options;
  const total = source.inputs.length;
  const refusals: AppError[] = [];
  let batch: NewDocument[] = [];
  for (const [position, input] of source.inputs.entries()) {
    if (stored.has(work.ids.document(position, 0))) continue;
    if (isFull(batch)) {
      const progress = { done: position, total };
      const documents = batch;
      batch = [];
      await changeSource(work, context.lease, async (repositories) => {
        await addAll(work, repositories, documents);
        await repositories.sources.update(source.id, { progress, updatedAt: clock.now() });
      });
      context.progress(progress.done, total);
    }
    const parsed = await parseInput(input, source, { ...options, context });
    if (parsed instanceof AppError) refusals.push(parsed);
    batch.push(...documentsOf(work, { position, input, parsed }));
  }
  return { refusals, rest: batch };
}

async function addAll(
  { botId, sourceId }: TrainingWork,
  { documents }: Pick<TenantRepositories, 'documents'>,
  batch: readonly NewDocument[],
): Promise<void> {
  for (const document of batch) await documents.add(botId, sourceId, document);
}

function isFull(batch: readonly NewDocument[]): boolean {
  return batch.length >= BATCH_DOCUMENTS || batch.reduce((sum, { chunks }) => sum + chunks.length, 0) >= BATCH_CHUNKS;
}

async function parseInput(
  input: SourceInput,
  source: Source,
  options: LoadingOptions & { readonly context: StageContext },
): Promise<readonly ParsedDocument[] | AppError> {
  const { blobs, parser, logger, context } = options;
  const path = blobs.pathOf(input.blobHash);
  const fallbackTitle = titleOf(input, source);
  try {
    return await parser.parse({ path, name: input.name, mediaType: input.mediaType, fallbackTitle }, context.signal);
  } catch (error) {
    if (!(error instanceof AppError) || context.signal.aborted || !FAULTS_OF_CONTENT.has(error.code)) throw error;
    logger.info({ source: source.id, job: context.job.id, code: error.code }, 'An input cannot be trained on');
    return error;
  }
}

/** What was written through the API bears the source's title; a file is called by its name until it says better. */
function titleOf({ name, mediaType }: SourceInput, source: Source): string {
  if (mediaType === NOTE_MEDIA_TYPE || mediaType === QA_MEDIA_TYPE) return source.title;
  const file = name.split('/').at(-1) ?? name;
  return (
    file
      .replace(/(?<=.)\.[a-z\d]{1,8}$/i, '')
      .replace(/[-_]+/g, ' ')
      .trim() || file
  );
}

function documentsOf(
  { ids }: TrainingWork,
  loaded: {
    readonly position: number;
    readonly input: SourceInput;
    readonly parsed: readonly ParsedDocument[] | AppError;
  },
): readonly NewDocument[] {
  const { position, input, parsed } = loaded;
  if (parsed instanceof AppError) {
    const lastError = { code: parsed.code, message: parsed.message };
    const id = ids.document(position, 0);
    const refused = {
      title: input.name,
      url: null,
      inputName: input.name,
      contentHash: input.blobHash,
      text: '',
      tokens: 0,
    };
    return [{ document: { ...refused, id, state: 'refused', lastError }, chunks: [] }];
  }
  return parsed.map(({ chunks, ...document }, part) => {
    const id = ids.document(position, part);
    return {
      document: { ...document, id, inputName: input.name, state: 'building', lastError: null },
      chunks: chunks.map((chunk) => ({ ...chunk, id: ids.chunk(id, chunk.position) })),
    };
  });
}

/** Stores the rest and shows the documents of a source that had none; a replacement goes on unseen. */
async function finish(
  work: TrainingWork,
  context: StageContext,
  { generation, clock, refusals, rest }: LoadingOptions & Loaded,
): Promise<void> {
  const inputs = await changeSource(work, context.lease, async (repositories, source) => {
    const { documents, chunks, sources } = repositories;
    await addAll(work, repositories, rest);
    const [heads, { chunks: total, embedded }] = await Promise.all([
      documentHeads(work, repositories),
      chunks.countOf(source.id, generation),
    ]);
    const summary = summarise(work, heads);
    const { usable, tokens, others } = summary;
    // Refused documents stay, to say which input was at fault.
    if (usable.length === 0) return { total: source.inputs.length, usable: false };
    const replaces = hasEarlierVersion(summary);
    const counts = { documents: usable.length, chunks: total, tokens, reused: 0 };
    await Promise.all([
      replaces ? null : documents.delete(idsOf(others)),
      replaces ? null : documents.setState(usable, 'searchable'),
      sources.update(source.id, {
        stage: 'embedding',
        progress: { done: embedded, total },
        counts: replaces ? { ...source.counts, reused: 0 } : counts,
        updatedAt: clock.now(),
      }),
    ]);
    return { total: source.inputs.length, usable: true };
  });
  context.progress(inputs.total, inputs.total);
  if (!inputs.usable) throw noneUsable(refusals);
}

function noneUsable([first, ...more]: readonly AppError[]): AppError {
  if (first === undefined) return new AppError('empty_content', 'The source has no content to train on.');
  if (more.length === 0) return first;
  return new AppError(first.code, `${first.message} None of the other ${more.length} files can be trained on either.`);
}
