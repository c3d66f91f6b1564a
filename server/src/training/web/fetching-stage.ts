import type { StageContext, StageResult } from '../../jobs/index.ts';
import { AppError, type Clock, ERROR_CODES, type Logger } from '../../kernel/index.ts';
import type { BlobStore, Failure, Source, SourcePage, Store, TenantRepositories } from '../../store/index.ts';
import { chunkingSignature, DEFAULT_CHUNKING } from '../chunking/strategies.ts';
import type { BotIndexes } from '../generations/ports.ts';
import { stagePriority } from '../pipeline/training-job.ts';
import { botOf, changeSource, ownSource, type TrainingWork, workOf } from '../pipeline/training-work.ts';
import { addressKey, cleanAddress, mayBePage, parseAddress, siteOf } from './page-address.ts';
import { inputsOfPages } from './page-inputs.ts';
import { type FetchingParts, type FoundAddress, skipPage, type Visit, visitPage } from './page-visit.ts';
import { createUrlFilter, type UrlFilter } from './url-patterns.ts';

export interface FetchingOptions {
  readonly store: Pick<Store, 'forTenant'>;
  readonly blobs: Pick<BlobStore, 'put' | 'localPath'>;
  readonly web: FetchingParts;
  readonly indexes: Pick<BotIndexes, 'training'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Pages fetched at once; one host is not asked for more, and the delay between its calls is kept besides. */
const AT_ONCE = 2;
/** After so many failures without a page between them the site is taken to be down, and left alone. */
const MOST_FAILURES = 8;
const DEEPEST_SITEMAP = 3;
/** Pages beyond the limit that are remembered, for those of the first that turn out to be none. */
const SPARE_PAGES = 1_000;

/**
 * Fetches the pages of a web source into the blob store, nearest to the start first, and makes them the source's inputs.
 * What it has met is kept in the store: after a crash it goes on where it was; at the next run unchanged pages are only
 * asked after. A page that cannot be fetched keeps its last good copy, one that is gone is left out; when no page at all
 * can be fetched, the job fails and the source stays as it was.
 */
export function createFetchingStage(options: FetchingOptions): (context: StageContext) => Promise<StageResult> {
  return async (context) => {
    const { key } = await options.indexes.training(botOf(context.job));
    const work = workOf(context.job, options.store, key);
    const loading = { type: 'next-stage', stage: 'loading', priority: stagePriority(work.job, 'loading') } as const;
    const crawl = await prepare(work, context, options);
    if (crawl === 'fetched') return loading;
    if ((await fetchPages(crawl, context, options)) === 'unfinished') return { type: 'yielded' };
    await finish(crawl, context, options);
    return loading;
  };
}

/** One run over the pages of a source. */
interface Crawl {
  readonly work: TrainingWork;
  readonly run: string;
  readonly type: Source['type'];
  readonly maxPages: number;
  readonly filter: UrlFilter;
  /** Sites whose pages belong to the source. */
  readonly sites: Set<string>;
  readonly startKey: string;
}

/** Takes the start into the run. */
async function prepare(
  work: TrainingWork,
  { lease, job }: StageContext,
  { clock, web }: FetchingOptions,
): Promise<Crawl | 'fetched'> {
  return work.tenant.fencedTransaction(lease, async (repositories) => {
    const source = await ownSource(work, repositories);
    if (source.status === 'processing' && source.stage !== 'fetching') return 'fetched';
    if (source.web === undefined || source.url === null) {
      throw new AppError('internal_error', 'A source that is not of the web is to be fetched.');
    }
    const start = web.client.check(source.url);
    const startKey = addressKey(start);
    const kind = source.type === 'sitemap' ? 'sitemap' : 'page';
    await repositories.pages.meet(source.id, job.id, [
      { url: startKey, address: start.href, kind, depth: 0, lastmod: null },
    ]);
    if (job.attempts > 1) await repositories.pages.retryFailed(source.id, job.id);
    const known = await repositories.pages.get(source.id, startKey);
    await repositories.sources.update(source.id, {
      status: 'processing',
      stage: 'fetching',
      lastError: null,
      updatedAt: clock.now(),
    });
    const sites = [source.url, known?.copy?.url ?? source.url].map((url) => siteOf(new URL(url)));
    return {
      work,
      run: job.id,
      type: source.type,
      maxPages: source.type === 'url' ? 1 : source.web.maxPages,
      filter: createUrlFilter(source.web),
      sites: new Set(sites),
      startKey,
    };
  });
}

/** Visits pending pages until there are none, or enough; or until it is time to let others in. */
async function fetchPages(
  crawl: Crawl,
  context: StageContext,
  options: FetchingOptions,
): Promise<'finished' | 'unfinished'> {
  const { work, run, maxPages } = crawl;
  let failures = 0;
  for (let visited = 0; ; visited += 1) {
    context.signal.throwIfAborted();
    const counts = await work.tenant.pages.countOf(work.sourceId, run);
    const done = counts.usable + counts.failed;
    // Failed pages are no progress: they are fetched anew with each attempt, and progress renews the attempts of a job.
    context.progress(counts.usable, Math.min(maxPages, done + counts.pending));
    const batch = await work.tenant.pages.nextPending(work.sourceId, run, AT_ONCE);
    const room = maxPages - done;
    // Sitemaps come first and do not count.
    const pages = batch.filter((page, position) => page.kind === 'sitemap' || position < room);
    if (pages.length === 0) return 'finished';
    if (visited > 0 && context.sliceOver()) return 'unfinished';
    const isDown = failures >= MOST_FAILURES;
    const visits = await Promise.all(
      pages.map((page) => (isDown ? skipPage : visitPage)(page, visitOptions(crawl, context, options))),
    );
    for (const { retryable } of visits) failures = retryable ? failures + 1 : 0;
    await settle(crawl, context, { visits, counts, clock: options.clock });
  }
}

function visitOptions({ type }: Crawl, { signal }: StageContext, options: FetchingOptions) {
  return { ...options.web, blobs: options.blobs, clock: options.clock, signal, followsLinks: type === 'crawl' };
}

async function settle(
  crawl: Crawl,
  { lease }: StageContext,
  {
    visits,
    counts,
    clock,
  }: {
    readonly visits: readonly Visit[];
    readonly counts: Awaited<ReturnType<TenantRepositories['pages']['countOf']>>;
    readonly clock: Clock;
  },
): Promise<void> {
  const { work, run, maxPages } = crawl;
  for (const { page, copy } of visits)
    if (page.depth === 0 && copy !== null) crawl.sites.add(siteOf(new URL(copy.url)));
  const known = counts.pending + counts.usable + counts.failed;
  await changeSource(work, lease, async ({ pages, sources }, source) => {
    for (const visit of visits) {
      await pages.settle(source.id, visit.page.url, visit);
      await settleAlias(crawl, visit, pages);
      const room = Math.max(0, maxPages + SPARE_PAGES - known);
      const found = visit.found.flatMap((address) => wanted(crawl, visit.page, address)).slice(0, room);
      if (found.length > 0) await pages.meet(source.id, run, found);
    }
    const { usable, failed, pending } = await pages.countOf(source.id, run);
    const done = usable + failed;
    const progress = { done, total: Math.min(maxPages, done + pending) };
    await sources.update(source.id, { progress, updatedAt: clock.now() });
  });
}

/** The start has led to another address: links to that one need not be followed again. */
async function settleAlias(crawl: Crawl, { page, copy }: Visit, pages: TenantRepositories['pages']): Promise<void> {
  if (page.depth > 0 || copy === null) return;
  const key = addressKey(new URL(copy.url));
  if (key === page.url) return;
  const { sourceId } = crawl.work;
  const met = await pages.meet(sourceId, crawl.run, [{ ...page, url: key, address: copy.url }]);
  if (met > 0) await pages.settle(sourceId, key, { state: 'left-out', lastError: null, copy: null });
}

type MetPage = Parameters<TenantRepositories['pages']['meet']>[2][number];

/** The address as a page of the run, unless it leads away from the site or is not wanted. */
function wanted(crawl: Crawl, from: SourcePage, { address, kind, lastmod }: FoundAddress): readonly MetPage[] {
  const url = parseAddress(address);
  if (url === null || !/^https?:$/.test(url.protocol) || !crawl.sites.has(siteOf(url))) return [];
  const depth = from.depth + 1;
  const page = { url: addressKey(url), address: cleanAddress(url), kind, depth, lastmod };
  if (kind === 'sitemap') return depth <= DEEPEST_SITEMAP ? [page] : [];
  return mayBePage(url) && crawl.filter(url) ? [page] : [];
}

/** The pages become the inputs of the source. */
async function finish(crawl: Crawl, { lease, job }: StageContext, { clock, logger }: FetchingOptions): Promise<void> {
  const { work, run } = crawl;
  const fault = await changeSource(work, lease, async ({ pages, sources, bots }, source) => {
    const all = await pages.list(source.id, run);
    const cut = chunkingSignature(source.chunking ?? (await bots.get(work.botId))?.chunking ?? DEFAULT_CHUNKING);
    const inputs = inputsOfPages(
      all.filter((page) => isIndexed(crawl, page)),
      cut,
    );
    if (inputs.length === 0 || !all.some(({ kind, state }) => kind === 'page' && state === 'usable'))
      return faultOf(all);
    await pages.forgetOthers(source.id, run);
    const now = clock.now();
    await sources.update(source.id, {
      stage: 'loading',
      inputs,
      progress: { done: 0, total: inputs.length },
      ...(source.web === undefined ? {} : { web: { ...source.web, lastSyncedAt: now } }),
      updatedAt: now,
    });
    logger.info({ source: source.id, job: job.id, pages: inputs.length }, 'The pages of a source are fetched');
    return null;
  });
  if (fault !== null) throw toError(fault);
}

/** The start of a crawl is fetched for its links in any case. */
function isIndexed({ type, startKey, filter }: Crawl, { url, address }: SourcePage): boolean {
  return type !== 'crawl' || url !== startKey || filter(new URL(address));
}

function faultOf(pages: readonly SourcePage[]): Failure {
  return (
    pages.find(({ state, lastError }) => state === 'failed' && lastError !== null)?.lastError ??
    pages.find(({ lastError }) => lastError !== null)?.lastError ?? {
      code: 'empty_content',
      message: 'No page was found to train on. Check the address and the patterns.',
    }
  );
}

function toError({ code, message }: Failure): AppError {
  const known = ERROR_CODES.find((one) => one === code) ?? 'fetch_failed';
  return new AppError(known, message, { retryable: known === 'fetch_failed' || known === 'fetch_timeout' });
}
