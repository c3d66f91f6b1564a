import type { Readable } from 'node:stream';
import type { Clock, IdMaker } from '../../kernel/index.ts';
import { AppError } from '../../kernel/index.ts';
import type { BlobStore, Bot, Source, Store } from '../../store/index.ts';
import type { VectorStore } from '../../vector-store/index.ts';
import { newTrainingJob } from '../pipeline/training-job.ts';
import type { VectorSpace } from './bundle-export.ts';
import {
  type BotRecord,
  BUNDLE_VERSION,
  type BundleRecord,
  invalidBundle,
  readBundleRecord,
} from './bundle-records.ts';
import { createContentImport, type ImportCounts } from './content-import.ts';
import { createFileImport } from './file-import.ts';
import { readLines } from './line-reader.ts';
import { promptVersionsOf } from './prompt-import.ts';
import type { UnfinishedImports } from './unfinished-imports.ts';

export interface BundleImporter {
  /**
   * Makes a bot of a bundle: a new one, with new ids. It answers when this resolves; vectors of another model than this
   * server's are made again in the background. When it rejects, nothing of it stays.
   *
   * @throws AppError `bundle_invalid`, `bundle_version_unsupported`, or `slug_taken` when `slug` is given and taken.
   */
  import(
    tenantId: string,
    content: Readable,
    options: { readonly slug?: string; readonly name?: string },
  ): Promise<Imported>;
}

export interface Imported {
  readonly bot: Bot;
  readonly counts: ImportCounts;
}

export interface BundleImporterOptions {
  readonly store: Pick<Store, 'forTenant'>;
  readonly blobs: Pick<BlobStore, 'put'>;
  readonly vectors: Pick<VectorStore, 'upsert' | 'deleteNamespace'>;
  /** The index of a new bot. */
  readonly spaceOf: (bot: Bot) => Promise<VectorSpace>;
  /** Has the vectors made that the bundle did not bring. */
  readonly completeIndex: (bot: Bot) => Promise<void>;
  readonly unfinished: UnfinishedImports;
  readonly announce: (jobId: string) => Promise<void>;
  /** Removes a bot with all of its content. */
  readonly removeBot: (bot: Bot) => Promise<unknown>;
  readonly clock: Clock;
  readonly createId: IdMaker;
  readonly maxFileBytes: number;
  /** See `createContentImport`. */
  readonly maxDocumentSize?: number;
}

const NUMBERED_SLUGS = 50;
const JOB_DEADLINE_MS = 24 * 60 * 60 * 1_000;
const JOB_ATTEMPTS = 5;

export function createBundleImporter(options: BundleImporterOptions): BundleImporter {
  return {
    async import(tenantId, content, wishes) {
      const records = recordsOf(content);
      const botRecord = await readHead(records);
      const bot = await createBot(botRecord, tenantId, { ...options, ...wishes });
      try {
        await takeOverPrompts(bot, botRecord, options);
        const { counts, untrained } = await fillBot(bot, records, options);
        await queueTraining(bot, untrained, options);
        await options.unfinished.end(bot);
        await options.completeIndex(bot);
        return { bot, counts };
      } catch (error) {
        await options.removeBot(bot);
        await options.unfinished.end(bot);
        throw error;
      }
    },
  };
}

async function* recordsOf(content: Readable): AsyncGenerator<BundleRecord> {
  let number = 0;
  for await (const line of readLines(content)) {
    number += 1;
    if (line.trim() !== '') yield readBundleRecord(line, number);
  }
}

async function readHead(records: AsyncGenerator<BundleRecord>): Promise<BotRecord> {
  const head = (await records.next()).value;
  if (head?.record !== 'bundle') throw invalidBundle('it does not begin like one');
  if (head.version > BUNDLE_VERSION) {
    throw new AppError(
      'bundle_version_unsupported',
      `The bundle is of version ${head.version}; this server reads up to ${BUNDLE_VERSION}. Import it into a newer server.`,
    );
  }
  const bot = (await records.next()).value;
  if (bot?.record !== 'bot') throw invalidBundle('the settings of the bot are missing');
  return bot;
}

/** The bot is marked before it is made, so that a crash in the middle leaves nothing behind. */
async function createBot(
  record: BotRecord,
  tenantId: string,
  options: BundleImporterOptions & { readonly slug?: string; readonly name?: string },
): Promise<Bot> {
  const now = options.clock.now();
  const bot = {
    id: options.createId('bot'),
    name: options.name ?? record.name,
    instructions: record.instructions,
    model: record.model,
    ...(record.models === undefined || record.models === null ? {} : { models: record.models }),
    temperature: record.temperature,
    maxOutputTokens: record.max_output_tokens,
    refusalMessage: record.refusal_message,
    retrieval: withoutUndefined(record.retrieval),
    privacy: record.privacy,
    metadata: record.metadata,
    chunking: record.chunking,
    prompt: record.prompt,
    createdAt: now,
    updatedAt: now,
  };
  const marked = { id: bot.id, tenantId };
  await options.unfinished.begin(marked);
  for (const slug of slugsFor(record.slug, options.slug, bot.id)) {
    try {
      await options.store.forTenant(tenantId).bots.create({ ...bot, slug });
      return { ...bot, tenantId, slug };
    } catch (error) {
      if (error instanceof AppError && error.code === 'slug_taken') continue;
      await options.unfinished.end(marked);
      throw error;
    }
  }
  await options.unfinished.end(marked);
  throw new AppError('slug_taken', `slug: Another bot has the slug "${options.slug}". Choose another.`, {
    param: 'slug',
  });
}

function* slugsFor(own: string, wished: string | undefined, id: string): Generator<string> {
  if (wished !== undefined) {
    yield wished;
    return;
  }
  yield own;
  for (let number = 2; number <= NUMBERED_SLUGS; number += 1) yield `${own.slice(0, 60)}-${number}`;
  yield id.toLowerCase().replaceAll('_', '-');
}

/** Optional fields of the schema may be undefined; the store's may only be absent. */
function withoutUndefined(retrieval: BotRecord['retrieval']): Bot['retrieval'] {
  const { maxNumResults, maxContextTokens, scoreThreshold, hybrid } = retrieval;
  return {
    ...(maxNumResults === undefined ? {} : { maxNumResults }),
    ...(maxContextTokens === undefined ? {} : { maxContextTokens }),
    ...(scoreThreshold === undefined ? {} : { scoreThreshold }),
    ...(hybrid === undefined ? {} : { hybrid }),
  };
}

async function takeOverPrompts(bot: Bot, record: BotRecord, { store, createId }: BundleImporterOptions): Promise<void> {
  const versions = promptVersionsOf(record, bot.createdAt).map((version) => ({ ...version, id: createId('prm') }));
  await store.forTenant(bot.tenantId).promptVersions.takeOver(bot.id, versions);
}

async function fillBot(
  bot: Bot,
  records: AsyncGenerator<BundleRecord>,
  options: BundleImporterOptions,
): Promise<{ readonly counts: ImportCounts; readonly untrained: readonly Source[] }> {
  const files = createFileImport({ blobs: options.blobs, maxBytes: options.maxFileBytes });
  const space = await options.spaceOf(bot);
  const content = createContentImport(bot, { ...options, space, hasFile: files.has });
  let ended = false;
  try {
    for await (const record of records) {
      if (ended) throw invalidBundle('something follows its end');
      if (record.record === 'file') await files.begin(record);
      else if (record.record === 'bytes') await files.write(record.data);
      else {
        await files.settle();
        ended = await content.take(record);
      }
    }
    if (!ended) throw invalidBundle('it was cut off');
    return { counts: content.counts(), untrained: content.untrained() };
  } finally {
    files.abandon();
  }
}

/** Sources that were still waiting for their training when they were exported are trained here, from their files. */
async function queueTraining(bot: Bot, sources: readonly Source[], options: BundleImporterOptions): Promise<void> {
  for (const source of sources) {
    const now = options.clock.now();
    const job = newTrainingJob(source, 'train', {
      createId: options.createId,
      now,
      deadlineMs: JOB_DEADLINE_MS,
      maxAttempts: JOB_ATTEMPTS,
    });
    await options.store.forTenant(bot.tenantId).transaction(async ({ sources: rows, jobs }) => {
      await jobs.create(job);
      await rows.update(source.id, { jobId: job.id, updatedAt: now });
    });
    await options.announce(job.id);
  }
}
