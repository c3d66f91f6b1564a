import type { ApiKey, Bot, Conversation, Job, Message, NewChunk, NewDocument, Source, Tenant } from './entities.ts';
import type { Generation, GoldenQuestion } from './generation-entities.ts';
import { FIRST_CHUNK_SET } from './index-key.ts';
import type { Store, TenantStore } from './ports.ts';
import type { SyncRun } from './sync-entities.ts';
import type { UsageRow } from './usage-entities.ts';

/** Entities for tests, complete and plain; each call makes new ids. */
export function createSamples(seed: string) {
  let count = 0;
  const next = (prefix: string): string => {
    count += 1;
    return `${prefix}_${seed}${String(count).padStart(6, '0')}`;
  };
  const now = 1_700_000_000_000;

  const tenant = (): Tenant => ({ id: next('tnt'), name: 'Acme', createdAt: now, updatedAt: now });

  const bot = (changes: Partial<Bot> = {}): Omit<Bot, 'tenantId'> => {
    const id = next('bot');
    return {
      id,
      name: 'Helper',
      slug: id.toLowerCase().replaceAll('_', '-'),
      instructions: null,
      model: null,
      temperature: null,
      maxOutputTokens: null,
      refusalMessage: null,
      retrieval: {},
      privacy: { pii: 'off' },
      metadata: {},
      createdAt: now,
      updatedAt: now,
      ...changes,
    };
  };

  const source = (botId: string, changes: Partial<Source> = {}): Omit<Source, 'tenantId'> => ({
    id: next('src'),
    botId,
    type: 'text',
    title: 'A source',
    url: null,
    status: 'queued',
    stage: null,
    progress: { done: 0, total: 0 },
    counts: { documents: 0, chunks: 0, tokens: 0, reused: 0 },
    lastError: null,
    jobId: null,
    externalKey: null,
    metadata: {},
    inputs: [{ name: 'a.txt', mediaType: 'text/plain', blobHash: 'a'.repeat(64), bytes: 5 }],
    contentHash: 'hash',
    createdAt: now,
    updatedAt: now,
    ...changes,
  });

  const syncRun = (botId: string, changes: Partial<SyncRun> = {}): Omit<SyncRun, 'tenantId'> => ({
    id: next('syn'),
    botId,
    status: 'open',
    prune: true,
    prefix: 'docs/',
    unchanged: 3,
    receipt: { sources: 0, documents: 0, chunks: 0, vectors: 0, files: 0 },
    createdAt: now,
    expiresAt: now + 3_600_000,
    endedAt: null,
    ...changes,
  });

  /** A document of the given chunk texts. */
  const document = (texts: readonly string[], changes: Partial<NewDocument['document']> = {}): NewDocument => {
    let offset = 0;
    const chunks = texts.map((text, position): NewChunk => {
      const start = offset;
      offset += text.length + 1;
      return {
        id: next('chk'),
        position,
        start,
        end: start + text.length,
        text,
        headingPath: ['Guide', 'Part "one"'],
        page: null,
        tokens: 3,
        hash: `hash of ${text}`,
      };
    });
    return {
      document: {
        id: next('doc'),
        title: 'A document',
        url: 'https://example.com/a',
        inputName: 'a.txt',
        state: 'searchable',
        lastError: null,
        contentHash: 'content',
        text: texts.join('\n'),
        tokens: 3 * texts.length,
        ...changes,
      },
      chunks,
    };
  };

  const generation = (botId: string, changes: Partial<Generation> = {}): Omit<Generation, 'tenantId'> => ({
    id: next('gen'),
    botId,
    state: { type: 'building', at: now },
    embeddingModel: 'fake/model',
    embedderVersion: '1',
    dimensions: 2,
    chunkSet: FIRST_CHUNK_SET,
    chunking: { type: 'auto' },
    origin: 'server',
    policy: 'if_not_worse',
    progress: { done: 0, total: 0 },
    comparison: null,
    jobId: null,
    createdAt: now,
    updatedAt: now,
    ...changes,
  });

  const goldenQuestion = (botId: string): Omit<GoldenQuestion, 'tenantId'> => ({
    id: next('gold'),
    botId,
    question: 'How?',
    expected: { externalKeys: ['a'] },
    createdAt: now,
  });

  const promptVersion = (botId: string, version = 'custom@1') => ({
    id: next('prm'),
    botId,
    version,
    prompt: { text: `{{rules}}{{passages}} ${version}` },
    chosenAt: now,
  });

  const job = (changes: Partial<Job> = {}): Omit<Job, 'tenantId'> => ({
    id: next('job'),
    botId: null,
    sourceId: null,
    kind: 'train',
    state: 'queued',
    stage: 'loading',
    priority: 10,
    progress: { done: 0, total: 0 },
    attempts: 0,
    maxAttempts: 3,
    lease: null,
    fencingToken: 0,
    lastError: null,
    cancelRequested: false,
    runAt: now,
    deadlineAt: now + 3_600_000,
    payload: { note: 'x' },
    createdAt: now,
    updatedAt: now,
    finishedAt: null,
    ...changes,
  });

  const conversation = (botId: string, changes: Partial<Conversation> = {}): Omit<Conversation, 'tenantId'> => ({
    id: next('conv'),
    botId,
    endUser: 'user-1',
    title: null,
    summary: null,
    summarizedThrough: null,
    summarizedAt: null,
    metadata: {},
    createdAt: now,
    updatedAt: now,
    ...changes,
  });

  const message = (
    botId: string,
    conversationId: string,
    changes: Partial<Message> = {},
  ): Omit<Message, 'tenantId'> => ({
    id: next('msg'),
    botId,
    conversationId,
    role: 'user',
    content: 'Hello',
    status: 'complete',
    citations: [],
    grounded: null,
    servedBy: null,
    stream: { pieces: [2, 3], finishReason: null, usage: { inputTokens: 3, outputTokens: 2 } },
    createdAt: now,
    ...changes,
  });

  const apiKey = (changes: Partial<ApiKey> = {}): Omit<ApiKey, 'tenantId'> => {
    const id = next('key');
    return {
      id,
      name: 'Key',
      secretHash: `hash of ${id}`,
      hint: 'cs_live_ab...yz',
      scopes: ['chat', 'search'],
      bots: null,
      origins: null,
      limits: { requestsPerMinute: 60 },
      expiresAt: null,
      revokedAt: null,
      lastUsedAt: null,
      createdAt: now,
      ...changes,
    };
  };

  const usage = (changes: Partial<UsageRow> = {}): Omit<UsageRow, 'tenantId'> => ({
    id: next('use'),
    botId: null,
    keyId: null,
    endUser: null,
    conversationId: null,
    answerId: null,
    kind: 'chat',
    model: 'fake/model',
    keyFingerprint: null,
    inputTokens: 1,
    cachedInputTokens: 0,
    outputTokens: 2,
    usageSource: 'provider',
    outcome: 'ok',
    errorCode: null,
    cache: null,
    calls: 1,
    requests: 1,
    costNanoUsd: null,
    priceId: null,
    firstTokenMs: null,
    durationMs: 3,
    createdAt: now,
    ...changes,
  });

  return {
    now,
    next,
    tenant,
    bot,
    source,
    syncRun,
    document,
    generation,
    goldenQuestion,
    promptVersion,
    job,
    conversation,
    message,
    apiKey,
    usage,
  };
}

export type Samples = ReturnType<typeof createSamples>;

/** A new tenant with a bot. */
export async function createTenantWithBot(
  store: Store,
  samples: Samples,
): Promise<{ readonly tenantId: string; readonly tenant: TenantStore; readonly botId: string }> {
  const row = samples.tenant();
  await store.tenants.create(row);
  const tenant = store.forTenant(row.id);
  const bot = samples.bot();
  await tenant.bots.create(bot);
  return { tenantId: row.id, tenant, botId: bot.id };
}

export async function collect<Item>(batches: AsyncIterable<readonly Item[]>): Promise<readonly Item[]> {
  const items: Item[] = [];
  for await (const batch of batches) items.push(...batch);
  return items;
}
