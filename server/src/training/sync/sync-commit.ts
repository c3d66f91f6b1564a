import type { RemovalReceipt, SyncItem, SyncRun, TenantRepositories } from '../../store/index.ts';

/** Items that are applied in one transaction: others get their turn in between. */
const ITEMS_AT_ONCE = 25;

export interface CommittedPart {
  /** As it is now: `committed` when this was the last part. */
  readonly run: SyncRun;
  /** What was deleted, for the vector index. */
  readonly sourceIds: readonly string[];
  readonly documentIds: readonly string[];
}

/** Applies the next items of a run's plan. To be called in a transaction, until the run is committed. */
export async function applyPart(
  repositories: Pick<TenantRepositories, 'syncRuns' | 'sources'>,
  run: SyncRun,
  now: number,
): Promise<CommittedPart> {
  const items = await repositories.syncRuns.items(run.id, {
    actions: ['relabel', 'delete'],
    states: ['asked'],
    limit: ITEMS_AT_ONCE,
  });
  const sourceIds: string[] = [];
  const documentIds: string[] = [];
  let { receipt } = run;
  for (const item of items) {
    const { state, removed } = await applyItem(repositories, run, { item, now });
    await repositories.syncRuns.setState(run.id, { externalKeys: [item.externalKey], action: item.action, state });
    if (removed === null || item.sourceId === null) continue;
    sourceIds.push(item.sourceId);
    documentIds.push(...removed.documentIds);
    receipt = sum(receipt, removed.receipt);
  }
  const isLast = items.length < ITEMS_AT_ONCE;
  const changes = isLast ? ({ receipt, status: 'committed', endedAt: now } as const) : { receipt };
  await repositories.syncRuns.update(run.id, changes);
  return { run: { ...run, ...changes }, sourceIds, documentIds };
}

async function applyItem(
  { sources }: Pick<TenantRepositories, 'sources'>,
  run: SyncRun,
  { item, now }: { readonly item: SyncItem; readonly now: number },
) {
  const source = await sources.getByExternalKey(run.botId, item.externalKey);
  // Deleted by somebody else meanwhile, or deleted and made anew.
  if (source === null || source.id !== item.sourceId) return { state: 'kept', removed: null } as const;
  if (item.action === 'delete') return { state: 'done', removed: await sources.delete(run.botId, source.id) } as const;
  await sources.update(source.id, { metadata: item.metadata ?? {}, updatedAt: now });
  return { state: 'done', removed: null } as const;
}

/** Two receipts as one. */
function sum(one: RemovalReceipt, other: RemovalReceipt): RemovalReceipt {
  return {
    sources: one.sources + other.sources,
    documents: one.documents + other.documents,
    chunks: one.chunks + other.chunks,
    vectors: one.vectors + other.vectors,
    files: one.files + other.files,
  };
}
