import { z } from 'zod';
import { AppError } from '../../kernel/index.ts';

/** The version of the format that this server writes, and the newest that it reads. */
export const BUNDLE_VERSION = 1;
export const BUNDLE_FORMAT = 'chatsphere-bundle';
/** Versions of its prompt that a bot has, at most. */
export const MOST_PROMPTS = 200;

const hash = z.string().regex(/^[\da-f]{64}$/);
const count = z.number().int().min(0);
const time = z.number().min(0).max(8.64e15);
const text = z.string().max(30_000_000);
const failure = z.object({ code: z.string().max(100), message: z.string().max(5_000) }).nullable();
const metadata = z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()]));
const weight = z.number().min(0).max(1);

const chunking = z
  .discriminatedUnion('type', [
    z.object({ type: z.literal('auto') }),
    z
      .object({
        type: z.literal('static'),
        maxChunkSizeTokens: z.number().int().min(100).max(4_096),
        chunkOverlapTokens: count,
      })
      .refine(({ maxChunkSizeTokens, chunkOverlapTokens }) => chunkOverlapTokens * 2 <= maxChunkSizeTokens),
    z.object({
      type: z.literal('langchain'),
      module: z.string().max(200),
      className: z.string().max(200),
      options: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.array(z.string())])),
    }),
  ])
  .nullable()
  .default(null);

/** What is fetched, and how often: within the bounds of what can be asked for when a source is added. */
const patterns = z.array(z.string().max(500)).max(100);
const web = z
  .object({
    include: patterns,
    exclude: patterns,
    max_pages: z.number().int().min(1).max(10_000),
    sync_interval_ms: z.number().int().min(300_000).max(31_536_000_000).nullable(),
    last_synced_at: time.nullable(),
  })
  .nullable()
  .default(null);

const prompt = z.union([z.object({ template: z.string().max(100) }), z.object({ text: z.string().max(20_000) })]);

const headRecord = z.object({
  record: z.literal('bundle'),
  format: z.literal(BUNDLE_FORMAT),
  version: z.number().int().min(1),
  exported_at: time,
});

const botRecord = z.object({
  record: z.literal('bot'),
  name: z.string().min(1).max(200),
  slug: z.string().min(1).max(200),
  instructions: z.string().max(20_000).nullable(),
  model: z.string().max(200).nullable(),
  /** Without keys: those are the server's own. */
  models: z
    .array(z.object({ model: z.string().max(200), rank: z.number().int().min(0), weight: z.number().positive() }))
    .min(1)
    .max(20)
    .nullish(),
  temperature: z.number().min(0).max(2).nullable(),
  max_output_tokens: z.number().int().min(1).nullable(),
  refusal_message: z.string().max(2_000).nullable(),
  retrieval: z.object({
    maxNumResults: z.number().int().min(1).max(50).optional(),
    maxContextTokens: z.number().int().min(100).max(100_000).optional(),
    scoreThreshold: weight.optional(),
    hybrid: z.object({ embeddingWeight: weight, textWeight: weight }).optional(),
  }),
  privacy: z.object({ pii: z.enum(['off', 'mask', 'vault']) }),
  metadata,
  chunking,
  prompt: prompt.nullable().default(null),
  /** Prompts that the bot has or had, as many as are kept of one. Here, not in records of their own: older servers pass over them so. */
  prompts: z
    .array(z.object({ prompt, created_at: time, chosen_at: time }))
    .max(MOST_PROMPTS)
    .default([]),
});

/** The vector space of all vectors in the bundle. */
const embeddingsRecord = z.object({
  record: z.literal('embeddings'),
  generation: z.string().max(300),
  dimensions: z.number().int().min(1).max(10_000),
});

/** A file that sources were made from; its bytes follow in `bytes` records. */
const fileRecord = z.object({ record: z.literal('file'), hash, bytes: count });
const bytesRecord = z.object({ record: z.literal('bytes'), data: z.string().max(2_000_000) });

const sourceRecord = z.object({
  record: z.literal('source'),
  type: z.enum(['text', 'qa', 'file', 'url', 'sitemap', 'crawl']),
  title: z.string().max(1_000),
  url: z.string().max(10_000).nullable(),
  status: z.enum(['queued', 'processing', 'ready', 'partial', 'failed']),
  last_error: failure,
  external_key: z.string().max(1_000).nullable(),
  metadata,
  inputs: z.array(
    z.object({
      name: z.string().max(10_000),
      media_type: z.string().max(300),
      hash,
      bytes: count,
      url: z.string().max(10_000).optional(),
      trained_as: z.string().max(1_000).optional(),
    }),
  ),
  web,
  content_hash: z.string().max(100),
  chunking,
  created_at: time,
});

/** A document of the source before it; its chunks follow in `chunks` records. */
const documentRecord = z.object({
  record: z.literal('document'),
  title: z.string().max(1_000),
  url: z.string().max(10_000).nullable(),
  input_name: z.string().max(10_000),
  trained_as: z.string().max(1_000).nullable().default(null),
  state: z.enum(['searchable', 'refused']),
  last_error: failure,
  text,
  tokens: count,
  chunks: count,
});

const chunksRecord = z.object({
  record: z.literal('chunks'),
  items: z
    .array(
      z.object({
        start: count,
        end: count,
        heading_path: z.array(z.string().max(2_000)).max(50),
        page: z.number().int().min(1).nullable(),
        tokens: count,
        /** Float32 numbers, little-endian, all windows of the chunk behind each other, in base64; null: not embedded. */
        vectors: z.string().max(20_000_000).nullable(),
      }),
    )
    .max(1_000),
});

/** A question of the golden set. Sources of the bundle are named by their place in it, from 0. */
const goldenRecord = z.object({
  record: z.literal('golden'),
  question: z.string().min(1).max(10_000),
  expected_external_keys: z.array(z.string().max(1_000)).max(1_000).optional(),
  expected_sources: z.array(count).max(1_000).optional(),
  expected_text: z.string().max(100_000).optional(),
});

/** The last record: a bundle without it was cut off. */
const endRecord = z.object({ record: z.literal('end'), files: count, sources: count, documents: count, chunks: count });

const bundleRecord = z.discriminatedUnion('record', [
  headRecord,
  botRecord,
  embeddingsRecord,
  fileRecord,
  bytesRecord,
  sourceRecord,
  documentRecord,
  chunksRecord,
  goldenRecord,
  endRecord,
]);

/** One line of a bundle. In order: bundle, bot, embeddings, files with their bytes, sources with their documents, golden questions, end. */
export type BundleRecord = z.infer<typeof bundleRecord>;
export type BotRecord = z.infer<typeof botRecord>;
export type SourceRecord = z.infer<typeof sourceRecord>;
export type DocumentRecord = z.infer<typeof documentRecord>;
export type ChunkItem = z.infer<typeof chunksRecord>['items'][number];
export type GoldenRecord = z.infer<typeof goldenRecord>;
export type EndRecord = z.infer<typeof endRecord>;

/**
 * Reads one line.
 *
 * @throws AppError `bundle_invalid` when it is no record.
 */
export function readBundleRecord(line: string, number: number): BundleRecord {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw invalidBundle(`line ${number} is not JSON`, cause);
  }
  const result = bundleRecord.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw invalidBundle(`line ${number}, ${issue?.path.join('.') || 'record'}: ${issue?.message ?? 'wrong'}`);
}

export function invalidBundle(reason: string, cause?: unknown): AppError {
  return new AppError('bundle_invalid', `The bundle cannot be read: ${reason}. Export the bot again.`, { cause });
}
