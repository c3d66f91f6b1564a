import { type FileHandle, open } from 'node:fs/promises';
import type { Clock } from '../../kernel/index.ts';
import {
  type BlobStore,
  type Bot,
  type Chunk,
  everyItem,
  type GoldenQuestion,
  indexParts,
  type Source,
  type Store,
  type TenantStore,
} from '../../store/index.ts';
import { BUNDLE_FORMAT, BUNDLE_VERSION, type BundleRecord, type ChunkItem, MOST_PROMPTS } from './bundle-records.ts';
import { packVectors } from './bundle-vectors.ts';

export interface BundleExporter {
  /**
   * The bot as lines of JSON, one record a line: settings, the files of its sources, and what was made of them down to
   * the vectors. Read as it is consumed, with bounded memory; what is trained or deleted meanwhile may or may not be in.
   */
  export(bot: Bot, options: { readonly files: boolean; readonly signal?: AbortSignal }): AsyncIterable<string>;
}

export interface BundleExporterOptions {
  readonly store: Pick<Store, 'forTenant'>;
  readonly blobs: Pick<BlobStore, 'localPath'>;
  /** The vector space that the bot is searched in. */
  readonly spaceOf: (bot: Bot) => Promise<VectorSpace>;
  readonly clock: Clock;
}

/** The index of a bot: `generation` is its key. */
export interface VectorSpace {
  readonly generation: string;
  readonly dimensions: number;
}

const CHUNKS_A_RECORD = 100;
const BYTES_A_RECORD = 384 * 1024;

interface Exporting extends BundleExporterOptions {
  readonly bot: Bot;
  readonly tenant: TenantStore;
  readonly space: VectorSpace;
  readonly signal: AbortSignal | undefined;
  readonly written: { files: number; sources: number; documents: number; chunks: number };
}

export function createBundleExporter(options: BundleExporterOptions): BundleExporter {
  return {
    async *export(bot, { files, signal }) {
      const exporting: Exporting = {
        ...options,
        bot,
        tenant: options.store.forTenant(bot.tenantId),
        space: await options.spaceOf(bot),
        signal,
        written: { files: 0, sources: 0, documents: 0, chunks: 0 },
      };
      for await (const record of recordsOf(exporting, files)) {
        signal?.throwIfAborted();
        yield `${JSON.stringify(record)}\n`;
      }
    },
  };
}

async function* recordsOf(exporting: Exporting, files: boolean): AsyncGenerator<BundleRecord> {
  const { bot, space, clock, written } = exporting;
  const prompts = await promptsOf(exporting);
  yield { record: 'bundle', format: BUNDLE_FORMAT, version: BUNDLE_VERSION, exported_at: clock.now() };
  yield {
    record: 'bot',
    name: bot.name,
    slug: bot.slug,
    instructions: bot.instructions,
    model: bot.model,
    models: bot.models?.map(({ model, rank, weight }) => ({ model, rank, weight })) ?? null,
    temperature: bot.temperature,
    max_output_tokens: bot.maxOutputTokens,
    refusal_message: bot.refusalMessage,
    retrieval: bot.retrieval,
    privacy: bot.privacy,
    metadata: bot.metadata as Extract<BundleRecord, { record: 'bot' }>['metadata'],
    chunking: (bot.chunking ?? null) as Extract<BundleRecord, { record: 'bot' }>['chunking'],
    prompt: bot.prompt ?? null,
    prompts,
  };
  yield { record: 'embeddings', generation: indexParts(space.generation).space, dimensions: space.dimensions };
  if (files) yield* filesOf(exporting);
  const places = new Map<string, number>();
  for await (const source of sourcesOf(exporting)) {
    written.sources += 1;
    yield toSourceRecord(source);
    places.set(source.id, places.size);
    yield* documentsOf(source, exporting);
  }
  for await (const question of everyItem((page) => exporting.tenant.goldenQuestions.list(bot.id, page))) {
    yield toGoldenRecord(question, places);
  }
  yield { record: 'end', ...written };
}

async function promptsOf({ bot, tenant }: Exporting): Promise<Extract<BundleRecord, { record: 'bot' }>['prompts']> {
  const prompts = [];
  for await (const { prompt, createdAt, chosenAt } of everyItem((page) => tenant.promptVersions.list(bot.id, page))) {
    prompts.push({ prompt, created_at: createdAt, chosen_at: chosenAt });
  }
  return prompts.slice(-MOST_PROMPTS);
}

/** Each file once, in the order of the first source that is made from it. */
async function* filesOf(exporting: Exporting): AsyncGenerator<BundleRecord> {
  const seen = new Set<string>();
  for await (const { inputs } of sourcesOf(exporting)) {
    for (const { blobHash, bytes } of inputs) {
      if (seen.has(blobHash)) continue;
      seen.add(blobHash);
      yield* fileOf({ hash: blobHash, bytes }, exporting);
    }
  }
}

async function* fileOf(
  { hash, bytes }: { readonly hash: string; readonly bytes: number },
  { blobs, written, signal }: Exporting,
): AsyncGenerator<BundleRecord> {
  const file = await openIfThere(await blobs.localPath(hash, signal));
  if (file === null) return;
  written.files += 1;
  yield { record: 'file', hash, bytes };
  const content = file.createReadStream({ highWaterMark: BYTES_A_RECORD, signal });
  for await (const part of content) yield { record: 'bytes', data: (part as Buffer).toString('base64') };
}

/** Null for a file that an import without files has left behind, or that was deleted meanwhile. */
async function openIfThere(path: string): Promise<FileHandle | null> {
  try {
    return await open(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

function toSourceRecord(source: Source): BundleRecord {
  return {
    record: 'source',
    type: source.type,
    title: source.title,
    url: source.url,
    status: source.status,
    last_error: source.lastError,
    external_key: source.externalKey,
    metadata: source.metadata as Extract<BundleRecord, { record: 'source' }>['metadata'],
    inputs: source.inputs.map(({ name, mediaType, blobHash, bytes, url, trainedAs }) => ({
      name,
      media_type: mediaType,
      hash: blobHash,
      bytes,
      ...(url === undefined ? {} : { url }),
      ...(trainedAs === undefined ? {} : { trained_as: trainedAs }),
    })),
    web: webOf(source),
    content_hash: source.contentHash,
    chunking: (source.chunking ?? null) as Extract<BundleRecord, { record: 'source' }>['chunking'],
    created_at: source.createdAt,
  };
}

function toGoldenRecord({ question, expected }: GoldenQuestion, places: ReadonlyMap<string, number>): BundleRecord {
  const { externalKeys, sourceIds, text } = expected;
  return {
    record: 'golden',
    question,
    ...(externalKeys === undefined ? {} : { expected_external_keys: [...externalKeys] }),
    ...(sourceIds === undefined ? {} : { expected_sources: sourceIds.flatMap((id) => places.get(id) ?? []) }),
    ...(text === undefined ? {} : { expected_text: text }),
  };
}

function webOf({ web }: Source): Extract<BundleRecord, { record: 'source' }>['web'] {
  if (web === undefined) return null;
  const { include, exclude, maxPages, syncIntervalMs, lastSyncedAt } = web;
  return {
    include: [...include],
    exclude: [...exclude],
    max_pages: maxPages,
    sync_interval_ms: syncIntervalMs,
    last_synced_at: lastSyncedAt,
  };
}

async function* documentsOf(source: Source, exporting: Exporting): AsyncGenerator<BundleRecord> {
  const { tenant, written } = exporting;
  for await (const head of everyItem((page) => tenant.documents.list(source.id, page))) {
    if (head.state === 'building') continue;
    const document = await tenant.documents.get(head.id);
    if (document === null) continue;
    const chunks: Chunk[] = [];
    for await (const chunk of everyItem((page) => tenant.chunks.list(head.id, page))) chunks.push(chunk);
    written.documents += 1;
    written.chunks += chunks.length;
    yield {
      record: 'document',
      title: document.title,
      url: document.url,
      input_name: document.inputName,
      trained_as: document.trainedAs ?? null,
      state: head.state,
      last_error: document.lastError,
      text: document.text,
      tokens: document.tokens,
      chunks: chunks.length,
    };
    for (let first = 0; first < chunks.length; first += CHUNKS_A_RECORD) {
      yield { record: 'chunks', items: await itemsOf(chunks.slice(first, first + CHUNKS_A_RECORD), exporting) };
    }
  }
}

async function itemsOf(chunks: readonly Chunk[], { tenant, space }: Exporting): Promise<ChunkItem[]> {
  const vectors = await tenant.chunks.findVectors(
    space.generation,
    chunks.map((chunk) => chunk.hash),
  );
  return chunks.map(({ start, end, headingPath, page, tokens, hash }) => {
    const windows = vectors.get(hash);
    const packed = windows === undefined ? null : packVectors(windows);
    return { start, end, heading_path: [...headingPath], page, tokens, vectors: packed };
  });
}

function sourcesOf({ tenant, bot }: Exporting): AsyncGenerator<Source> {
  return everyItem((page) => tenant.sources.list(bot.id, page));
}
