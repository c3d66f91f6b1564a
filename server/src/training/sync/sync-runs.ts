import { AppError, type Clock, type IdMaker } from '../../kernel/index.ts';
import type {
  Bot,
  KeyedSource,
  Page,
  PageRequest,
  RemovalReceipt,
  Store,
  SyncItem,
  SyncRun,
  TenantRepositories,
} from '../../store/index.ts';
import type { Trainer, UploadedFile } from '../ports.ts';
import { applyPart } from './sync-commit.ts';
import { createSyncPlanner, type ManifestEntry } from './sync-plan.ts';
import { type UploadOutcome, uploadAll } from './sync-upload.ts';

export interface SyncRequest {
  readonly manifest: readonly ManifestEntry[];
  /** Delete sources of files that the manifest does not name. */
  readonly prune: boolean;
  /** The run concerns keys that begin with it, and no others; every key of the manifest does. */
  readonly prefix: string;
}

/** How many things a run asks for, and what has become of them. */
export interface SyncCounts {
  readonly upload: number;
  readonly uploaded: number;
  readonly refused: number;
  readonly skipped: number;
  readonly unchanged: number;
  readonly relabel: number;
  readonly delete: number;
  readonly deleted: number;
  /** Planned to be deleted, but put again meanwhile. */
  readonly kept: number;
}

export interface SyncRunState {
  readonly run: SyncRun;
  readonly status: SyncRun['status'] | 'expired';
  readonly counts: SyncCounts;
}

export interface SyncRunWithPlan extends SyncRunState {
  /** Keys of what is still to be uploaded. */
  readonly upload: readonly string[];
  /** Keys of what the commit deletes. */
  readonly delete: readonly string[];
}

/**
 * Brings a bot's sources to what a client's folder holds: the client says what it has, is told what to upload, uploads
 * it, and commits, which deletes what is gone. Every step may be repeated. All reject with `sync_run_not_found` for an
 * id that is not the bot's, and changes with `sync_run_closed` once the run is over.
 */
export interface SyncRuns {
  /** `unsettled`: sources of unchanged files that are still being trained, or only partly usable. */
  open(bot: Bot, request: SyncRequest): Promise<SyncRunWithPlan & { readonly unsettled: readonly KeyedSource[] }>;
  get(bot: Bot, id: string): Promise<SyncRunWithPlan>;
  list(bot: Bot, page: PageRequest): Promise<Page<SyncRunState>>;
  /** Files whose names are keys that the run asks for. What cannot be trained on is refused by itself. */
  upload(bot: Bot, id: string, files: AsyncIterable<UploadedFile>): Promise<readonly UploadOutcome[]>;
  /**
   * Deletes what the plan says. Rejects with `sync_run_incomplete` while files are missing that are not in `skip`. A
   * commit that was cut short goes on where it stopped; one that is over answers the same again.
   */
  commit(bot: Bot, id: string, options: { readonly skip: readonly string[] }): Promise<SyncRunWithPlan>;
  cancel(bot: Bot, id: string): Promise<SyncRunWithPlan>;
}

export interface SyncRunsOptions {
  readonly store: Pick<Store, 'forTenant'>;
  readonly trainer: Pick<Trainer, 'put' | 'forget'>;
  readonly clock: Clock;
  readonly createId: IdMaker;
  /** How long a run stays open. */
  readonly lifetimeMs?: number;
}

const DEFAULT_LIFETIME_MS = 24 * 60 * 60 * 1_000;
const SOURCES_A_PAGE = 2_000;
const ITEMS_A_PAGE = 5_000;
const MISSING_SHOWN = 10;
const NOTHING_REMOVED: RemovalReceipt = { sources: 0, documents: 0, chunks: 0, vectors: 0, files: 0 };

export function createSyncRuns(options: SyncRunsOptions): SyncRuns {
  const { store, trainer, clock, createId, lifetimeMs = DEFAULT_LIFETIME_MS } = options;

  async function stateOf(repositories: Pick<TenantRepositories, 'syncRuns'>, run: SyncRun): Promise<SyncRunState> {
    return { run, status: statusOf(run), counts: countsOf(run, await repositories.syncRuns.count(run.id)) };
  }

  async function withPlan(bot: Bot, run: SyncRun): Promise<SyncRunWithPlan> {
    const tenant = store.forTenant(bot.tenantId);
    const keys = async (action: SyncItem['action'], states: readonly SyncItem['state'][]): Promise<string[]> => {
      const found: string[] = [];
      for (let after = 0; ; ) {
        const page = await tenant.syncRuns.items(run.id, { actions: [action], states, after, limit: ITEMS_A_PAGE });
        found.push(...page.map(({ externalKey }) => externalKey));
        if (page.length < ITEMS_A_PAGE) return found;
        after = page.at(-1)?.position ?? after;
      }
    };
    return {
      ...(await stateOf(tenant, run)),
      upload: await keys('upload', ['asked']),
      delete: await keys('delete', ['asked', 'done']),
    };
  }

  function statusOf(run: SyncRun): SyncRunState['status'] {
    return run.status === 'open' && run.expiresAt <= clock.now() ? 'expired' : run.status;
  }

  async function find({ syncRuns }: Pick<TenantRepositories, 'syncRuns'>, bot: Bot, id: string): Promise<SyncRun> {
    const run = await syncRuns.get(bot.id, id);
    if (run !== null) return run;
    throw new AppError(
      'sync_run_not_found',
      `This bot has no such sync run. List: GET /v1/bots/${bot.slug}/sync_runs.`,
    );
  }

  async function findOpen(repositories: Pick<TenantRepositories, 'syncRuns'>, bot: Bot, id: string): Promise<SyncRun> {
    const run = await find(repositories, bot, id);
    const status = statusOf(run);
    if (status === 'open') return run;
    throw new AppError('sync_run_closed', `The sync run is ${status}. Open a new one with the files as they are now.`);
  }

  return {
    async open(bot, { manifest, prune, prefix }) {
      const now = clock.now();
      const planner = createSyncPlanner(manifest, { prune });
      const { run, plan } = await store.forTenant(bot.tenantId).transaction(async ({ sources, syncRuns }) => {
        for (let after = 0, more = true; more; ) {
          const page = await sources.keyed(bot.id, { prefix, after, limit: SOURCES_A_PAGE });
          for (const source of page) planner.take(source);
          after = page.at(-1)?.position ?? after;
          more = page.length === SOURCES_A_PAGE;
        }
        const planned = planner.finish();
        const opened: Omit<SyncRun, 'tenantId'> = {
          id: createId('syn'),
          botId: bot.id,
          status: 'open',
          prune,
          prefix,
          unchanged: planned.unchanged,
          receipt: NOTHING_REMOVED,
          createdAt: now,
          expiresAt: now + lifetimeMs,
          endedAt: null,
        };
        await syncRuns.create(opened, planned.items);
        return { run: { ...opened, tenantId: bot.tenantId }, plan: planned };
      });
      return { ...(await withPlan(bot, run)), unsettled: plan.unsettled };
    },
    get: async (bot, id) => withPlan(bot, await find(store.forTenant(bot.tenantId), bot, id)),
    async list(bot, page) {
      const tenant = store.forTenant(bot.tenantId);
      const { items, hasMore } = await tenant.syncRuns.list(bot.id, page);
      return { items: await Promise.all(items.map((run) => stateOf(tenant, run))), hasMore };
    },
    async upload(bot, id, files) {
      const tenant = store.forTenant(bot.tenantId);
      const run = await findOpen(tenant, bot, id);
      return uploadAll(files, { bot, runId: run.id, syncRuns: tenant.syncRuns, trainer });
    },
    async commit(bot, id, { skip }) {
      const tenant = store.forTenant(bot.tenantId);
      for (let skipped = skip; ; skipped = []) {
        const part = await tenant.transaction(async (repositories) => {
          const known = await find(repositories, bot, id);
          if (known.status === 'committed') return { run: known, sourceIds: [], documentIds: [] };
          const run = await findOpen(repositories, bot, id);
          await repositories.syncRuns.setState(run.id, { externalKeys: skipped, action: 'upload', state: 'skipped' });
          await requireUploads(repositories, run);
          return applyPart(repositories, run, clock.now());
        });
        if (part.sourceIds.length > 0) await trainer.forget(bot, part.sourceIds, part.documentIds);
        if (part.run.status === 'committed') return withPlan(bot, part.run);
      }
    },
    async cancel(bot, id) {
      const run = await store.forTenant(bot.tenantId).transaction(async (repositories) => {
        const known = await find(repositories, bot, id);
        if (known.status === 'cancelled') return known;
        const open = await findOpen(repositories, bot, id);
        const changes = { status: 'cancelled', endedAt: clock.now() } as const;
        await repositories.syncRuns.update(open.id, changes);
        return { ...open, ...changes };
      });
      return withPlan(bot, run);
    },
  };
}

async function requireUploads({ syncRuns }: Pick<TenantRepositories, 'syncRuns'>, run: SyncRun): Promise<void> {
  const filter = { actions: ['upload'], states: ['asked'] } as const;
  const missing = await syncRuns.items(run.id, { ...filter, limit: MISSING_SHOWN });
  if (missing.length === 0) return;
  const keys = missing.map(({ externalKey }) => `"${externalKey}"`).join(', ');
  const more = missing.length === MISSING_SHOWN ? ' and possibly more' : '';
  throw new AppError(
    'sync_run_incomplete',
    `These files were asked for and have not come: ${keys}${more}. Upload them, or name them in \`skip\`.`,
  );
}

function countsOf(run: SyncRun, rows: Awaited<ReturnType<TenantRepositories['syncRuns']['count']>>): SyncCounts {
  const count = (action: SyncItem['action'], state?: SyncItem['state']): number =>
    rows
      .filter((row) => row.action === action && (state === undefined || row.state === state))
      .reduce((sum, row) => sum + row.count, 0);
  return {
    upload: count('upload'),
    uploaded: count('upload', 'done'),
    refused: count('upload', 'refused'),
    skipped: count('upload', 'skipped'),
    unchanged: run.unchanged,
    relabel: count('relabel'),
    delete: count('delete'),
    deleted: count('delete', 'done'),
    kept: count('delete', 'kept'),
  };
}
