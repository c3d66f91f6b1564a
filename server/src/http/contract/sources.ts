import { z } from 'zod';
import { chunkingStrategy } from './chunking.ts';
import { botParams } from './pages.ts';
import { failure, line, metadata, storedMetadata, unixSeconds } from './text.ts';

export const externalKey = line(500).describe('Your own name for the content: unique within the bot.');

const aboutKeyed = {
  metadata: metadata.optional(),
  chunking_strategy: chunkingStrategy.optional().describe('How it is cut; left out: as the bot says.'),
};
const about = { external_key: externalKey.optional(), ...aboutKeyed };

const textFields = { type: z.literal('text'), title: line(500), content: z.string() };
const questionFields = {
  type: z.literal('qa'),
  title: line(500).optional(),
  items: z
    .array(z.strictObject({ question: line(2000), answer: line(20_000) }))
    .min(1)
    .max(2000),
};
const webPatterns = z.array(line(500)).max(100).optional();
const syncInterval = z
  .number()
  .int()
  .min(300)
  .max(31_536_000)
  .nullable()
  .optional()
  .describe('Fetch again after so many seconds; null: only when asked. Pages that have not changed do no work.');
const urlFields = { type: z.literal('url'), url: line(2048), sync_interval_seconds: syncInterval };
const crawlFields = {
  url: line(2048),
  include: webPatterns.describe(
    'Only addresses that match one of these. A pattern is compared with the path (with the query too when it holds a `?`, with the whole address when it begins with https://); `*` stands for any characters; without `*` it means a page and all below it.',
  ),
  exclude: webPatterns.describe('No addresses that match one of these.'),
  max_pages: z.number().int().min(1).max(10_000).optional().describe('Default 100.'),
  sync_interval_seconds: syncInterval,
};

/** What a bot is trained on, as JSON. */
export const newSource = z
  .discriminatedUnion('type', [
    z.strictObject({ ...textFields, ...about }),
    z.strictObject({ ...questionFields, ...about }),
    z.strictObject({ ...urlFields, ...about }),
    z.strictObject({ type: z.literal('sitemap'), ...crawlFields, ...about }),
    z.strictObject({ type: z.literal('crawl'), ...crawlFields, ...about }),
  ])
  .meta({ id: 'NewSource' });

/** The same for a source that is named by the address. */
export const keyedSource = z
  .discriminatedUnion('type', [
    z.strictObject({ ...textFields, ...aboutKeyed }),
    z.strictObject({ ...questionFields, ...aboutKeyed }),
    z.strictObject({ ...urlFields, ...aboutKeyed }),
    z.strictObject({ type: z.literal('sitemap'), ...crawlFields, ...aboutKeyed }),
    z.strictObject({ type: z.literal('crawl'), ...crawlFields, ...aboutKeyed }),
  ])
  .meta({ id: 'KeyedSource' });

export type NewSourceBody = z.infer<typeof newSource>;
export type KeyedSourceBody = z.infer<typeof keyedSource>;

/** The fields that may stand before, between or after the files of a form. */
export const uploadFields = z.strictObject({
  title: line(500).optional(),
  external_key: externalKey.optional(),
  metadata: metadata.optional(),
  chunking_strategy: chunkingStrategy.optional(),
});

export const keyedUploadFields = uploadFields.omit({ external_key: true });

export type UploadFields = z.infer<typeof uploadFields>;

/** Only for the documentation: forms are read as streams. */
export const uploadForm = z.strictObject({
  file: z.array(z.string().meta({ format: 'binary' })).describe('One or more files.'),
  title: z.string().optional(),
  external_key: z.string().optional(),
  metadata: z.string().optional().describe('A JSON object.'),
  chunking_strategy: z.string().optional().describe('A JSON object.'),
});

export const byKeyParams = botParams.extend({ external_key: externalKey });

export const wireSource = z
  .strictObject({
    id: z.string(),
    object: z.literal('source'),
    bot_id: z.string(),
    type: z.enum(['text', 'qa', 'file', 'url', 'sitemap', 'crawl']),
    title: z.string(),
    url: z.string().nullable(),
    status: z.enum(['queued', 'processing', 'ready', 'partial', 'failed']),
    stage: z.enum(['fetching', 'loading', 'embedding']).nullable(),
    progress: z.strictObject({ done: z.number(), total: z.number() }),
    counts: z.strictObject({
      documents: z.number().int(),
      chunks: z.number().int(),
      tokens: z.number().int(),
      reused: z.number().int().describe('Chunks whose vectors were taken over from an earlier version.'),
    }),
    last_error: failure.nullable(),
    job_id: z.string().nullable(),
    external_key: z.string().nullable(),
    metadata: storedMetadata,
    chunking_strategy: chunkingStrategy.nullable().describe('null: as the bot says.'),
    crawl: z
      .strictObject({ include: z.array(z.string()), exclude: z.array(z.string()), max_pages: z.number().int() })
      .nullable()
      .describe('What is fetched; null for sources that are not of the web.'),
    sync_interval_seconds: z.number().int().nullable(),
    last_synced_at: unixSeconds.nullable(),
    next_sync_at: unixSeconds.nullable(),
    created_at: unixSeconds,
    updated_at: unixSeconds,
  })
  .meta({ id: 'Source' });

export type WireSource = z.infer<typeof wireSource>;
