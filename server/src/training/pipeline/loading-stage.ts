import type { StageContext, StageResult } from '../../jobs/index.ts';
import { AppError, type Clock, type Logger } from '../../kernel/index.ts';
import type {
  BlobStore,
  Failure,
  Generation,
  NewDocument,
  Source,
  SourceInput,
  Store,
  TenantRepositories,
} from '../../store/index.ts';
import type { VectorStore } from '../../vector-store/index.ts';
import type { BotIndexes } from '../generations/ports.ts';
import { NOTE_MEDIA_TYPE, QA_MEDIA_TYPE } from '../loaders/file-type.ts';
import { titleOfName } from '../loaders/name-title.ts';
import type { DocumentParser } from '../ports.ts';
import { fileNameOf } from '../web/page-names.ts';
import { isContentFault } from './content-faults.ts';
import { documentsOfInput, type InputPoint } from './input-documents.ts';
import { type StoredDocuments, storedDocuments } from './stored-documents.ts';
import { stagePriority } from './training-job.ts';
import {
  botOf,
  changeSource,
  type DocumentHead,
  hasEarlierVersion,
  idsOf,
  keptInputs,
  ownSource,
  sourceOf,
  sourceWithHeads,
  summarise,
  type TrainingWork,
  workOf,
} from './training-work.ts';

export interface LoadingOptions {
  readonly store: Pick<Store, 'forTenant'>;
  readonly blobs: Pick<BlobStore, 'localPath'>;
  readonly parser: Pick<DocumentParser, 'parse'>;
  readonly vectors: Pick<VectorStore, 'deleteDocuments'>;
  readonly indexes: Pick<BotIndexes, 'training'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Documents and chunks that are written in one transaction: large enough to be quick, small enough to let others in. */
const BATCH_DOCUMENTS = 16;
const BATCH_CHUNKS = 128;

/**
 * Parses every input and stores its documents and chunks unseen. At the end the documents of a new source become
 * searchable by words; those of a replacement stay unseen until they are embedded. Inputs that cannot be used are kept as
 * refused documents; a source without any usable input fails with the first fault. An input may hold
 * several texts (an archive, a huge text): it is parsed part by part, each text becomes a document, and a part that cannot
 * be used is refused alone. Run again, it goes on with what is not stored yet. Between two parts it lets other jobs in.
 */
export function createLoadingStage(options: LoadingOptions): (context: StageContext) => Promise<StageResult> {
  return async (context) => {
    const { job } = context;
    const [{ key, generation }, seen] = await Promise.all([
      options.indexes.training(botOf(job)),
      sourceWithHeads(sourceOf(job), options.store.forTenant(job.tenantId)),
    ]);
    const work = workOf(job, options.store, key);
    const embedding = {
      type: 'next-stage',
      stage: 'embedding',
      priority: stagePriority(work.job, 'embedding'),
    } as const;
    const prepared = untouched(work, seen) ?? (await prepare(work, context, options));
    if (prepared === 'loaded') return embedding;
    const loaded = await loadInputs(work, context, { ...options, ...prepared, generation });
    if ('resume' in loaded) return { type: 'yielded', resume: { ...loaded.resume } };
    await finish(work, context, { ...options, ...loaded });
    return embedding;
  };
}

interface Prepared {
  readonly source: Source;
  readonly stored: StoredDocuments;
  /** Positions of inputs whose earlier documents stay. */
  readonly kept: ReadonlySet<number>;
  /** Whether the source has no document at all. */
  readonly isEmpty: boolean;
}

/** Where the stage has stopped to let others in: before a part of an input. */
interface ResumePoint extends InputPoint {
  readonly input: number;
}

function resumeOf({ job: { resume } }: TrainingWork): ResumePoint | null {
  if (resume === undefined) return null;
  const { input, from, count } = resume;
  if (typeof input !== 'number' || typeof count !== 'number') return null;
  return { input, count, from: typeof from === 'string' ? from : null };
}

/** Up to here a source is loaded in a moment, of which nobody need be told. */
const SMALL_BYTES = 256 * 1024;

/**
 * A small source of which nothing is stored yet: there is nothing to clear away, and it is written once, when it is
 * loaded. Whoever writes to it in between takes the lease or the source with it, which the transaction at the end sees. Null: any other.
 */
function untouched(
  work: TrainingWork,
  { source, heads }: Awaited<ReturnType<typeof sourceWithHeads>>,
): Prepared | null {
  const bytes = source.inputs.reduce((sum, input) => sum + input.bytes, 0);
  if (source.status !== 'queued' || heads.length > 0 || bytes > SMALL_BYTES || resumeOf(work) !== null) return null;
  const stored = storedDocuments(work.ids, { inputs: source.inputs, usable: [], refused: [] });
  return { source, stored, kept: new Set(), isEmpty: true };
}

/** Clears away what other jobs left unfinished, and tells what of this one is there already. */
async function prepare(
  work: TrainingWork,
  { lease, signal }: StageContext,
  { vectors, clock }: LoadingOptions,
): Promise<Prepared | 'loaded'> {
  const read = (repositories: TenantRepositories) => sourceWithHeads(work, repositories);
  const result = await work.tenant.fencedTransactionOn(lease, read, async (repositories, { source, heads }) => {
    const { usable, others, kept: keptIds } = summarise(work, heads, source);
    if (source.stage === 'embedding' && usable.length + keptIds.length > 0) return null;
    const staying = new Set(keptIds);
    const kept = keptInputs(
      source,
      heads.filter((head) => staying.has(head.id)),
    );
    const unfinished = idsOf(others.filter((head) => head.state === 'building'));
    // Refused inputs are tried again, unless this goes on where it stopped: the cause may have gone.
    const refused =
      resumeOf(work) === null
        ? idsOf(heads.filter((head) => head.state === 'refused' && work.ids.ownsDocument(head.id)))
        : [];
    const total = Math.max(source.inputs.length, usable.length);
    await Promise.all([
      repositories.documents.delete([...unfinished, ...refused]),
      repositories.sources.update(source.id, {
        status: 'processing',
        stage: 'loading',
        progress: { done: usable.length, total },
        lastError: null,
        updatedAt: clock.now(),
      }),
    ]);
    const stored = storedDocuments(work.ids, { inputs: source.inputs, usable, refused });
    return { source, stored, kept, unfinished, isEmpty: false };
  });
  if (result === null) return 'loaded';
  if (result.unfinished.length > 0) await vectors.deleteDocuments(work.namespace, result.unfinished, signal);
  return result;
}

interface Loaded {
  /** Documents that are not stored yet. */
  readonly rest: readonly NewDocument[];
  /** Whether the source still has no document at all. */
  readonly isEmpty: boolean;
}

/** Parses what is not stored yet and writes it in batches; the last one is left to the caller, unless it stops before the end. */
async function loadInputs(
  work: TrainingWork,
  context: StageContext,
  options: LoadingOptions & Prepared & { readonly generation: Generation },
): Promise<Loaded | { readonly resume: ResumePoint }> {
  const { source, stored, kept, clock, generation } = options;
  const resume = resumeOf(work);
  const chunking = source.chunking ?? generation.chunking;
  let batch: NewDocument[] = [];
  let { isEmpty } = options;
  let done = resume === null ? stored.inCompleteInputs + kept.size : context.job.progress.done;

  async function write(documents: readonly NewDocument[], progress: Source['progress']): Promise<void> {
    isEmpty = false;
    await changeSource(work, context.lease, async (repositories) => {
      await addAll(work, repositories, documents);
      const status = { status: 'processing', stage: 'loading', lastError: null } as const;
      await repositories.sources.update(source.id, { ...status, progress, updatedAt: clock.now() });
    });
    context.progress(progress.done, progress.total);
  }

  for (const [position, input] of source.inputs.entries()) {
    if (kept.has(position)) continue;
    if (resume === null ? stored.isComplete(position) : position < resume.input) continue;
    const inputsAhead = source.inputs.length - position - 1;
    const fallbackTitle = titleOf(input, source);
    const start = resume?.input === position ? { start: resume } : {};
    const place = { input, position, fallbackTitle, chunking, ...start };
    for await (const made of documentsOfInput(place, { ...options, work, context })) {
      done += 1;
      const known = stored.has(made.document.document.id);
      if (!known && isFull(batch)) {
        const documents = batch;
        batch = [];
        await write(documents, { done: done - 1, total: done + made.ahead + inputsAhead });
      }
      if (!known) batch.push({ ...made.document, chunkSet: generation.chunkSet });
      const ahead = made.ahead + inputsAhead;
      if (made.next === null || ahead === 0 || !context.sliceOver()) continue;
      await write(batch, { done, total: done + ahead });
      const next =
        made.next === 'end' ? { input: position + 1, from: null, count: 0 } : { input: position, ...made.next };
      return { resume: next };
    }
  }
  return { rest: batch, isEmpty };
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

/** What was written through the API bears the source's title; a file is called by its name until it says better. */
function titleOf({ name, mediaType, url }: SourceInput, source: Source): string {
  if (mediaType === NOTE_MEDIA_TYPE || mediaType === QA_MEDIA_TYPE) return source.title;
  return titleOfName(url === undefined ? name : fileNameOf(url, mediaType));
}

const NOTHING = { chunks: 0, embedded: 0 };

/** Stores the rest and shows the documents of a source that had none; a replacement goes on unseen. */
async function finish(
  work: TrainingWork,
  context: StageContext,
  { clock, rest, isEmpty }: LoadingOptions & Loaded,
): Promise<void> {
  const read = async (repositories: TenantRepositories) => {
    if (isEmpty) return { source: await ownSource(work, repositories), heads: [], counts: NOTHING };
    const [found, counts] = await Promise.all([
      sourceWithHeads(work, repositories),
      repositories.chunks.countOf(work.sourceId, work.namespace.generation),
    ]);
    return { ...found, counts };
  };
  const inputs = await work.tenant.fencedTransactionOn(context.lease, read, async (repositories, stored) => {
    const { documents, sources } = repositories;
    const { source } = stored;
    const total = stored.counts.chunks + rest.reduce((sum, { chunks }) => sum + chunks.length, 0);
    const { embedded } = stored.counts;
    const summary = summarise(work, [...stored.heads, ...rest.map((made) => headOf(work, made))], source);
    const { usable, kept, tokens, others } = summary;
    // Refused documents stay, to say which input was at fault.
    const made = Math.max(source.inputs.length, usable.length + kept.length + summary.refusals.length);
    if (usable.length + kept.length === 0) {
      await addAll(work, repositories, rest);
      return { total: made, refusals: summary.refusals };
    }
    const replaces = hasEarlierVersion(summary);
    const counts = { documents: usable.length, chunks: total, tokens, reused: 0 };
    await Promise.all([
      addAll(work, repositories, replaces ? rest : rest.map(shown)),
      replaces ? null : documents.delete(idsOf(others)),
      replaces ? null : documents.setState(summarise(work, stored.heads, source).usable, 'searchable'),
      sources.update(source.id, {
        status: 'processing',
        stage: 'embedding',
        lastError: null,
        progress: { done: embedded, total },
        counts: replaces ? { ...source.counts, reused: 0 } : counts,
        updatedAt: clock.now(),
      }),
    ]);
    return { total: made, refusals: null };
  });
  context.progress(inputs.total, inputs.total);
  if (inputs.refusals !== null) throw noneUsable(inputs.refusals);
}

function headOf({ tenant: { tenantId }, botId, sourceId }: TrainingWork, { document }: NewDocument): DocumentHead {
  const { text: _, ...head } = document;
  return { ...head, tenantId, botId, sourceId, createdAt: 0 };
}

/** A document that is to be found at once. */
function shown(made: NewDocument): NewDocument {
  const { document } = made;
  return document.state === 'building' ? { ...made, document: { ...document, state: 'searchable' } } : made;
}

function noneUsable([first, ...more]: readonly Failure[]): AppError {
  if (first === undefined) return new AppError('empty_content', 'The source has no content to train on.');
  const code = isContentFault(first.code) ? first.code : 'parse_failed';
  if (more.length === 0) return new AppError(code, first.message);
  return new AppError(code, `${first.message} None of the other ${more.length} files can be trained on either.`);
}
