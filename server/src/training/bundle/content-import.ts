import { createHash } from 'node:crypto';
import type { Clock, IdMaker } from '../../kernel/index.ts';
import {
  type AddedDocument,
  type Bot,
  type ChunkVectors,
  indexParts,
  type NewChunk,
  type Source,
  type SourceInput,
  type Store,
} from '../../store/index.ts';
import type { VectorStore } from '../../vector-store/index.ts';
import { chunkHash } from '../chunking/chunk-making.ts';
import type { VectorSpace } from './bundle-export.ts';
import {
  type BundleRecord,
  type ChunkItem,
  type DocumentRecord,
  type EndRecord,
  type GoldenRecord,
  invalidBundle,
  type SourceRecord,
} from './bundle-records.ts';
import { unpackVectors } from './bundle-vectors.ts';
import { createImportBatch, type ImportedSource } from './import-batch.ts';

export interface ImportCounts {
  readonly sources: number;
  readonly documents: number;
  readonly chunks: number;
  /** Chunks whose vectors came with the bundle. */
  readonly reused: number;
}

/** Sources, documents, chunks and vectors of a bundle on their way into the store. */
export interface ContentImport {
  /** Takes the next record. True when it was the last one. */
  take(record: Exclude<BundleRecord, { readonly record: 'file' | 'bytes' }>): Promise<boolean>;
  counts(): ImportCounts;
  /** Sources that had no content yet. */
  untrained(): readonly Source[];
}

interface OpenDocument {
  readonly record: DocumentRecord;
  readonly items: ChunkItem[];
  /** Characters of the items, held in memory until the document is written. */
  size: number;
}

/** Several times what the largest document of a training takes with all its vectors. */
const LARGEST_DOCUMENT = 256 * 1024 ** 2;
/** What an item takes besides its texts. */
const ITEM_SIZE = 100;

interface OpenSource {
  readonly source: Source;
  readonly record: SourceRecord;
  readonly searchable: string[];
  readonly counts: { documents: number; chunks: number; tokens: number; reused: number };
}

export function createContentImport(
  bot: Bot,
  options: {
    readonly store: Pick<Store, 'forTenant'>;
    readonly vectors: Pick<VectorStore, 'upsert'>;
    readonly space: VectorSpace;
    readonly clock: Clock;
    readonly createId: IdMaker;
    /** Whether the file of this hash is there. */
    readonly hasFile: (hash: string) => boolean;
    /** Largest document with its vectors, in characters of the bundle; default 256 Mi. */
    readonly maxDocumentSize?: number;
  },
): ContentImport {
  const { store, vectors, space, clock, createId, maxDocumentSize = LARGEST_DOCUMENT } = options;
  const tenant = store.forTenant(bot.tenantId);
  const batch = createImportBatch(bot, { store, vectors, generation: space.generation });
  const seen = { sources: 0, documents: 0, chunks: 0, reused: 0 };
  const untrained: Source[] = [];
  /** Ids by place in the bundle. */
  const madeSources: string[] = [];
  let sameSpace = false;
  let source: OpenSource | null = null;
  let document: OpenDocument | null = null;

  async function beginSource(record: SourceRecord): Promise<void> {
    await endSource();
    seen.sources += 1;
    const made = newSource(record);
    batch.addSource(made);
    madeSources.push(made.id);
    source = {
      source: { ...made, botId: bot.id, tenantId: bot.tenantId },
      record,
      searchable: [],
      counts: { ...made.counts },
    };
  }

  function newSource(record: SourceRecord): ImportedSource {
    return {
      id: createId('src'),
      type: record.type,
      title: record.title,
      url: record.url,
      status: 'processing',
      stage: 'loading',
      progress: { done: 0, total: record.inputs.length },
      counts: { documents: 0, chunks: 0, tokens: 0, reused: 0 },
      lastError: record.last_error,
      jobId: null,
      externalKey: record.external_key,
      metadata: record.metadata,
      inputs: record.inputs.map((input) => toInput(input, options.hasFile(input.hash))),
      ...(record.web === null ? {} : { web: toWebSource(record.web, clock.now()) }),
      contentHash: record.content_hash,
      chunking: record.chunking,
      createdAt: record.created_at,
      updatedAt: clock.now(),
    };
  }

  async function addGoldenQuestion(record: GoldenRecord): Promise<void> {
    const { expected_external_keys: externalKeys, expected_sources: places, expected_text: text } = record;
    await tenant.goldenQuestions.create({
      id: createId('gold'),
      botId: bot.id,
      question: record.question,
      expected: {
        ...(externalKeys === undefined ? {} : { externalKeys }),
        ...(places === undefined ? {} : { sourceIds: places.flatMap((place) => madeSources[place] ?? []) }),
        ...(text === undefined ? {} : { text }),
      },
      createdAt: clock.now(),
    });
  }

  async function endSource(): Promise<void> {
    await endDocument();
    if (source === null) return;
    const { source: made, record, searchable, counts } = source;
    source = null;
    const waiting = (record.status === 'queued' || record.status === 'processing') && searchable.length === 0;
    const trainable = waiting && (record.web !== null || made.inputs.every((input) => options.hasFile(input.blobHash)));
    if (trainable) untrained.push(made);
    await batch.endSource({
      id: made.id,
      changes: {
        status: trainable ? 'queued' : statusOf(record, searchable.length),
        stage: trainable ? (record.web === null ? 'loading' : 'fetching') : null,
        progress: trainable ? made.progress : { done: counts.chunks, total: counts.chunks },
        ...(waiting && !trainable ? { lastError: NOT_TRAINED } : {}),
        counts,
        updatedAt: clock.now(),
      },
      searchable,
    });
  }

  async function endDocument(): Promise<void> {
    if (document === null) return;
    if (source === null) throw invalidBundle('a document stands outside of a source');
    const { record, items, size } = document;
    document = null;
    if (items.length !== record.chunks) throw invalidBundle('chunks of a document are missing');
    const id = createId('doc');
    const chunks = items.map((item, position) => newChunk(item, { position, record, id: createId('chk') }));
    const contentHash = createHash('sha256').update(record.text).digest('hex');
    const sourceId = source.source.id;
    const isRefused = record.state === 'refused';
    const added: AddedDocument = {
      sourceId,
      document: {
        id,
        title: record.title,
        url: record.url,
        inputName: record.input_name,
        trainedAs: record.trained_as,
        state: isRefused ? 'refused' : 'building',
        lastError: record.last_error,
        contentHash,
        text: record.text,
        tokens: record.tokens,
      },
      chunks,
    };
    seen.documents += 1;
    seen.chunks += chunks.length;
    if (!isRefused) {
      source.searchable.push(id);
      source.counts.documents += 1;
      source.counts.chunks += chunks.length;
      source.counts.tokens += record.tokens;
    }
    const rows = isRefused ? [] : vectorsOf(items, chunks);
    seen.reused += rows.length;
    const vectors = rows.length === 0 ? null : { documentId: id, sourceId, rows };
    await batch.addDocument(added, vectors, size + record.text.length);
  }

  function vectorsOf(items: readonly ChunkItem[], chunks: readonly NewChunk[]): readonly ChunkVectors[] {
    if (!sameSpace) return [];
    return items.flatMap(({ vectors: packed }, position): ChunkVectors[] => {
      const windows = packed === null ? null : unpackVectors(packed, space.dimensions);
      const chunkId = chunks[position]?.id;
      return windows === null || chunkId === undefined ? [] : [{ chunkId, windows }];
    });
  }

  return {
    async take(record) {
      switch (record.record) {
        case 'embeddings':
          sameSpace =
            indexParts(record.generation).space === indexParts(space.generation).space &&
            record.dimensions === space.dimensions;
          return false;
        case 'source':
          await beginSource(record);
          return false;
        case 'document':
          await endDocument();
          if (source === null) throw invalidBundle('a document stands outside of a source');
          document = { record, items: [], size: 0 };
          return false;
        case 'chunks':
          if (document === null) throw invalidBundle('chunks stand outside of a document');
          document.items.push(...record.items);
          document.size += record.items.reduce((sum, item) => sum + sizeOf(item), 0);
          if (document.size > maxDocumentSize) throw invalidBundle('a document is larger than any can be');
          if (document.items.length > document.record.chunks) throw invalidBundle('a document has too many chunks');
          return false;
        case 'golden':
          await endSource();
          await batch.flush();
          await addGoldenQuestion(record);
          return false;
        case 'end':
          await endSource();
          await batch.flush();
          checkEnd(record, seen);
          return true;
        case 'bundle':
        case 'bot':
          throw invalidBundle('it begins twice');
      }
    },
    counts: () => ({ ...seen }),
    untrained: () => untrained,
  };
}

/** A bundle has a claim only on files that it brings: the server may hold the others for another tenant. */
function toInput(input: SourceRecord['inputs'][number], isBrought: boolean): SourceInput {
  const { name, media_type: mediaType, hash, bytes, url, trained_as: trainedAs } = input;
  return {
    name,
    mediaType,
    blobHash: isBrought ? hash : createHash('sha256').update(`not in the bundle: ${hash}`).digest('hex'),
    bytes,
    ...(url === undefined ? {} : { url }),
    ...(trainedAs === undefined ? {} : { trainedAs }),
  };
}

/** The schedule goes on from now: what was due while the bundle lay about is not fetched all at once. */
function toWebSource(web: NonNullable<SourceRecord['web']>, now: number): NonNullable<Source['web']> {
  const { include, exclude, max_pages: maxPages, sync_interval_ms: syncIntervalMs } = web;
  const nextSyncAt = syncIntervalMs === null ? null : now + syncIntervalMs;
  return { include, exclude, maxPages, syncIntervalMs, lastSyncedAt: web.last_synced_at, nextSyncAt };
}

const NOT_TRAINED = {
  code: 'empty_content',
  message: 'The source was still waiting for its training when the bot was exported without files. Add it again.',
};

function statusOf({ status }: SourceRecord, searchable: number): 'ready' | 'partial' | 'failed' {
  if (status === 'partial' || status === 'failed') return status;
  return searchable === 0 ? 'failed' : 'ready';
}

function sizeOf({ heading_path: headings, vectors }: ChunkItem): number {
  return ITEM_SIZE + (vectors?.length ?? 0) + headings.reduce((sum, heading) => sum + heading.length, 0);
}

function checkEnd(end: EndRecord, seen: ImportCounts): void {
  if (end.sources === seen.sources && end.documents === seen.documents && end.chunks === seen.chunks) return;
  throw invalidBundle('it holds less than it says');
}

function newChunk(
  item: ChunkItem,
  { position, record, id }: { readonly position: number; readonly record: DocumentRecord; readonly id: string },
): NewChunk {
  const { start, end, heading_path: headingPath, page, tokens } = item;
  if (start >= end || end > record.text.length) throw invalidBundle('a chunk lies outside of its document');
  const text = record.text.slice(start, end);
  return {
    id,
    position,
    start,
    end,
    text,
    headingPath,
    page,
    tokens,
    hash: chunkHash(record.title, headingPath, text),
  };
}
