import type { Clock, IdMaker, JsonObject } from '../../kernel/index.ts';
import { AppError } from '../../kernel/index.ts';
import type {
  BlobStore,
  Bot,
  ChunkingStrategy,
  Source,
  Store,
  TenantRepositories,
  TenantStore,
} from '../../store/index.ts';
import type { Namespace, VectorStore } from '../../vector-store/index.ts';
import { chunkingSignature } from '../chunking/strategies.ts';
import type { BotIndexes } from '../generations/ports.ts';
import type { SourceContent, SourceOptions, Trainer, Upsert } from '../ports.ts';
import type { WebClient } from '../web/web-client.ts';
import { isWebContent, webContent } from '../web/web-content.ts';
import { type StoredContent, storeContent } from './source-inputs.ts';
import { createTrainAgain, JOB_LIMITS, type JobLimits, trainingJobFor } from './train-again.ts';
import { firstStageOf } from './training-job.ts';

export interface TrainerLimits extends JobLimits {
  /** Largest input, in bytes. */
  readonly maxInputBytes: number;
}

export interface TrainerOptions {
  readonly store: Pick<Store, 'forTenant'>;
  readonly blobs: Pick<BlobStore, 'put'>;
  readonly web: Pick<WebClient, 'check'>;
  /** Wakes whoever runs jobs. The job is durable before; a lost announcement only delays it. */
  readonly announce: (jobId: string) => Promise<void>;
  readonly vectors: Pick<VectorStore, 'deleteDocuments' | 'deleteNamespace'>;
  readonly indexes: Pick<BotIndexes, 'keys'>;
  /** Told of each deleted source before its vectors go: whatever is on its way into the index is stopped. */
  readonly removedSources?: { add(sourceId: string): void };
  /** Told that content of a bot was deleted: files may have lost their last user, and copies of it must go. */
  readonly onRemoved?: (bot: Bot) => void;
  readonly clock: Clock;
  readonly createId: IdMaker;
  readonly limits?: Partial<TrainerLimits>;
}

const DEFAULT_LIMITS: TrainerLimits = {
  maxInputBytes: 100 * 1024 * 1024,
  ...JOB_LIMITS,
};

/** Takes content in: durable blobs first, then the source and its job in one transaction, then the announcement. */
export function createTrainer(options: TrainerOptions): Trainer {
  const { store, clock, createId, vectors, indexes } = options;
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const jobOptions = { clock, createId, limits };
  const trainAgain = createTrainAgain(jobOptions);

  /** One for each generation of the bot. */
  async function namespacesOf({ tenantId, id: botId }: Bot): Promise<readonly Namespace[]> {
    const keys = await indexes.keys({ tenantId, botId });
    return keys.map((generation) => ({ tenantId, botId, generation }));
  }

  async function keep(content: SourceContent): Promise<StoredContent> {
    if (isWebContent(content)) return webContent(content, { client: options.web, now: clock.now() });
    return storeContent(content, { blobs: options.blobs, maxBytes: limits.maxInputBytes });
  }

  async function createSource(
    repositories: TenantRepositories,
    bot: Bot,
    details: About & { readonly content: StoredContent; readonly externalKey: string | null },
  ): Promise<Source> {
    const now = clock.now();
    const id = createId('src');
    const { web, ...content } = details.content;
    const kept = { id, botId: bot.id, ...content, ...(web === null ? {} : { web }) };
    const job = trainingJobFor(kept, jobOptions);
    const source: Omit<Source, 'tenantId'> = {
      ...kept,
      status: 'queued',
      stage: firstStageOf(kept),
      progress: { done: 0, total: details.content.inputs.length },
      counts: { documents: 0, chunks: 0, tokens: 0, reused: 0 },
      lastError: null,
      jobId: job.id,
      externalKey: details.externalKey,
      metadata: details.metadata,
      ...(details.chunking === null ? {} : { chunking: details.chunking }),
      createdAt: now,
      updatedAt: now,
    };
    // Asked for at once and run in this order.
    await Promise.all([repositories.sources.create(source), repositories.jobs.create(job)]);
    return { ...source, tenantId: bot.tenantId };
  }

  async function replace(
    repositories: TenantRepositories,
    source: Source,
    next: About & { readonly content: StoredContent },
  ): Promise<Upsert> {
    const { content, metadata, chunking } = next;
    const sameCut = signatureOf(source.chunking) === signatureOf(chunking);
    const sameText = source.contentHash === content.contentHash && source.title === content.title && sameCut;
    if (!sameText || source.status === 'failed') {
      return { source: await trainAgain(repositories, source, { ...content, metadata, chunking }), change: 'replaced' };
    }
    const { web } = source;
    const sameTimes = web?.syncIntervalMs === content.web?.syncIntervalMs;
    if (sameJson(source.metadata, metadata) && sameTimes) return { source, change: 'unchanged' };
    const times = content.web === null ? {} : { web: { ...content.web, lastSyncedAt: web?.lastSyncedAt ?? null } };
    const update = { metadata, ...(sameTimes ? {} : times), updatedAt: clock.now() };
    await repositories.sources.update(source.id, update);
    return { source: { ...source, ...update }, change: 'replaced' };
  }

  async function upsert(
    bot: Bot,
    externalKey: string,
    next: About & { readonly content: StoredContent },
  ): Promise<Upsert> {
    const result = await store.forTenant(bot.tenantId).transaction(async (repositories): Promise<Upsert> => {
      const [existing] = await Promise.all([
        repositories.sources.getByExternalKey(bot.id, externalKey),
        repositories.syncRuns.noteUpload(bot.id, externalKey),
      ]);
      if (existing !== null) return replace(repositories, existing, next);
      return { source: await createSource(repositories, bot, { ...next, externalKey }), change: 'created' };
    });
    await announceJobOf(result.source);
    return result;
  }

  async function announceJobOf(source: Source): Promise<void> {
    if (source.status === 'queued' && source.jobId !== null) await options.announce(source.jobId);
  }

  async function forget(bot: Bot, sourceIds: readonly string[], documentIds: readonly string[]): Promise<void> {
    for (const sourceId of sourceIds) options.removedSources?.add(sourceId);
    await Promise.all((await namespacesOf(bot)).map((space) => vectors.deleteDocuments(space, documentIds)));
    options.onRemoved?.(bot);
  }

  return {
    async add(bot, content, details) {
      const stored = await keep(content);
      // Only now: the fields of a form may follow its files.
      const about = aboutOf(details);
      if (details.externalKey !== undefined) {
        return (await upsert(bot, details.externalKey, { content: stored, ...about })).source;
      }
      const source = await store
        .forTenant(bot.tenantId)
        .transaction((repositories) =>
          createSource(repositories, bot, { content: stored, externalKey: null, ...about }),
        );
      await announceJobOf(source);
      return source;
    },
    async put(bot, externalKey, replacement) {
      const content = await keep(replacement.content);
      return upsert(bot, externalKey, { content, ...aboutOf(replacement) });
    },
    async sync(bot, { id }) {
      const source = await store.forTenant(bot.tenantId).transaction(async (repositories) => {
        const current = await repositories.sources.get(bot.id, id);
        if (current === null) throw new AppError('source_not_found', 'There is no such source.');
        return trainAgain(repositories, current);
      });
      await announceJobOf(source);
      return source;
    },
    async remove(bot, sourceId) {
      const removed = await tenant(store, bot).sources.delete(bot.id, sourceId);
      if (removed === null) return null;
      await forget(bot, [sourceId], removed.documentIds);
      return removed.receipt;
    },
    forget,
    async removeBot(bot) {
      const namespaces = await namespacesOf(bot);
      const receipt = await tenant(store, bot).bots.delete(bot.id);
      if (receipt === null) return null;
      await Promise.all(namespaces.map((namespace) => vectors.deleteNamespace(namespace)));
      options.onRemoved?.(bot);
      return receipt;
    },
  };
}

/** What is said of a source beside its content. */
interface About {
  readonly metadata: JsonObject;
  readonly chunking: ChunkingStrategy | null;
}

function aboutOf({ metadata, chunking }: Omit<SourceOptions, 'externalKey'>): About {
  return { metadata: metadata ?? {}, chunking: chunking ?? null };
}

function signatureOf(chunking: ChunkingStrategy | null | undefined): string | null {
  return chunking ? chunkingSignature(chunking) : null;
}

function tenant(store: Pick<Store, 'forTenant'>, bot: Bot): TenantStore {
  return store.forTenant(bot.tenantId);
}

function sameJson(one: JsonObject, other: JsonObject): boolean {
  return JSON.stringify(Object.entries(one).sort()) === JSON.stringify(Object.entries(other).sort());
}
