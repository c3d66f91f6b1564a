import type { Clock } from '../../kernel/index.ts';
import { AppError } from '../../kernel/index.ts';
import type { BlobStore, Failure, PageCopy, SourcePage } from '../../store/index.ts';
import type { HostTurns } from './host-turns.ts';
import { addressKey, parseAddress } from './page-address.ts';
import { isHtmlType, isReadableType } from './page-names.ts';
import type { PageReader } from './page-reader.ts';
import { readDirectives } from './page-scan.ts';
import type { RobotsRules } from './robots-rules.ts';
import type { WebAnswer, WebClient } from './web-client.ts';

/** What a crawl needs of the world. */
export interface FetchingParts {
  readonly client: WebClient;
  readonly reader: PageReader;
  readonly robots: RobotsRules;
  readonly turns: HostTurns;
  readonly maxPageBytes: number;
  /** Before a page that could not be fetched is tried once more, in milliseconds. */
  readonly retryMs: number;
}

export interface VisitOptions extends FetchingParts {
  readonly blobs: Pick<BlobStore, 'put' | 'localPath'>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Whether the links of pages are wanted. */
  readonly followsLinks: boolean;
}

/** Where a page or a sitemap leads. */
export interface FoundAddress {
  readonly address: string;
  readonly kind: SourcePage['kind'];
  readonly lastmod: string | null;
}

export interface Visit {
  readonly page: SourcePage;
  readonly state: Exclude<SourcePage['state'], 'pending'>;
  readonly lastError: Failure | null;
  /** Whether the failure may pass. */
  readonly retryable: boolean;
  /** Null: there is none any more. */
  readonly copy: PageCopy | null;
  readonly found: readonly FoundAddress[];
}

const MAX_SITEMAP_BYTES = 64 * 1024 ** 2;
/** A site's word that a page has not changed is taken for this long. */
const LASTMOD_TRUSTED_MS = 7 * 24 * 60 * 60 * 1_000;
const MOST_SPELLINGS = 3;
const LONGEST_REST_MS = 60_000;
/** What says that a page is gone, or not to be had: its copy goes too. */
const FINAL = new Set([
  'page_not_found',
  'robots_disallowed',
  'unsupported_file_type',
  'url_not_allowed',
  'url_invalid',
]);

/** Fetches a page, unless its site says that it has not changed, and finds where it leads. Rejects only when it is stopped. */
export async function visitPage(page: SourcePage, options: VisitOptions): Promise<Visit> {
  if (isFresh(page, options.clock.now())) return usable(page, page.copy, options);
  try {
    const answer = await fetchFollowing(page, options);
    if (answer.type === 'redirect') return redirected(page, answer.url);
    return usable(page, await copyOf(page, answer, options), options);
  } catch (error) {
    options.signal.throwIfAborted();
    if (!(error instanceof AppError)) throw error;
    return failed(page, error, options);
  }
}

/** Leaves a page of a site alone that is down; its last good copy counts, also for where it leads. */
export function skipPage(page: SourcePage, options: VisitOptions): Promise<Visit> {
  const why = 'The site failed too often in a row, so this page was not asked for.';
  return failed(page, new AppError('fetch_failed', why, { retryable: true }), options);
}

function isFresh({ kind, lastmod, copy }: SourcePage, now: number): boolean {
  return kind === 'page' && lastmod !== null && copy?.lastmod === lastmod && now - copy.fetchedAt < LASTMOD_TRUSTED_MS;
}

/** Follows redirects to other spellings of the same address (a slash, `index.html`); of others it is told. */
async function fetchFollowing(page: SourcePage, options: VisitOptions): Promise<WebAnswer> {
  let address = page.address;
  for (let redirects = 0; ; redirects += 1) {
    const answer = await fetchTwice({ ...page, address }, options);
    const isSamePage = answer.type === 'redirect' && addressKey(new URL(answer.url)) === page.url;
    if (!isSamePage || redirects === MOST_SPELLINGS) return answer;
    address = answer.url;
  }
}

async function fetchTwice(page: SourcePage, options: VisitOptions): Promise<WebAnswer> {
  try {
    return await fetchPage(page, options);
  } catch (error) {
    options.signal.throwIfAborted();
    if (!(error instanceof AppError) || !error.retryable) throw error;
    const restMs = Math.min(LONGEST_REST_MS, error.retryAfterMs ?? options.retryMs);
    if (error.retryAfterMs !== undefined) options.turns.rest(new URL(page.address).origin, restMs);
    if (restMs > 0) await options.clock.sleep(restMs, options.signal);
    return fetchPage(page, options);
  }
}

function fetchPage({ address, kind, depth, copy }: SourcePage, options: VisitOptions): Promise<WebAnswer> {
  const { client, robots, turns, signal } = options;
  return client.get(
    {
      url: address,
      ...(copy === null ? {} : { known: copy }),
      maxBytes: kind === 'sitemap' ? MAX_SITEMAP_BYTES : options.maxPageBytes,
      redirects: kind === 'sitemap' || depth === 0 ? 'follow' : 'report',
      accepts: kind === 'sitemap' ? () => true : isReadableType,
      admit: async (url) => {
        const { delayMs } = await robots.admit(url, signal);
        await turns.take(url.origin, delayMs, signal);
      },
    },
    signal,
  );
}

async function copyOf(
  page: SourcePage,
  answer: Exclude<WebAnswer, { type: 'redirect' }>,
  { blobs, clock, signal, maxPageBytes }: VisitOptions,
): Promise<PageCopy> {
  const fetchedAt = clock.now();
  if (answer.type === 'not-modified') {
    if (page.copy === null) throw new AppError('internal_error', 'An unknown page cannot be unchanged.');
    return { ...page.copy, lastmod: page.lastmod, fetchedAt };
  }
  const maxBytes = page.kind === 'sitemap' ? MAX_SITEMAP_BYTES : maxPageBytes;
  const { hash, bytes } = await blobs.put(answer.body, { maxBytes, signal });
  const { url, etag, lastModified, mediaType, robotsTag } = answer;
  const unchanged = page.copy?.blobHash === hash && page.copy.url === url;
  const canonicalUrl = unchanged ? (page.copy?.canonicalUrl ?? url) : url;
  const about = { url, canonicalUrl, etag, lastModified, lastmod: page.lastmod, mediaType, robotsTag };
  return { ...about, blobHash: hash, bytes, fetchedAt };
}

/** What a page that is there is worth, and where it leads. */
async function usable(page: SourcePage, copy: PageCopy | null, options: VisitOptions): Promise<Visit> {
  if (copy === null) return failed(page, new AppError('internal_error', 'A page has no copy.'), options);
  if (page.kind === 'sitemap') return sitemapVisit(page, copy, options);
  const isNew = copy.blobHash !== page.copy?.blobHash || copy.robotsTag !== page.copy.robotsTag;
  if (!isHtmlType(copy.mediaType) || !(isNew || options.followsLinks)) {
    const { noindex } = readDirectives(copy.robotsTag ?? '');
    return noindex ? leftOut(page, noIndex(), []) : visited(page, copy, []);
  }
  const path = await options.blobs.localPath(copy.blobHash, options.signal);
  const scan = await options.reader
    .page({ path, url: copy.url, mediaType: copy.mediaType }, options.signal)
    .catch((error: unknown) => {
      options.signal.throwIfAborted();
      if (error instanceof AppError) return { canonical: null, noindex: false, nofollow: false, links: [] };
      throw error;
    });
  const byHeader = readDirectives(copy.robotsTag ?? '');
  const canonical = canonicalOf(scan.canonical, copy.url);
  const links = options.followsLinks && !scan.nofollow && !byHeader.nofollow ? scan.links : [];
  const found = [...(options.followsLinks && canonical !== null ? [canonical] : []), ...links].map(
    (address): FoundAddress => ({ address, kind: 'page', lastmod: null }),
  );
  if (scan.noindex || byHeader.noindex) return leftOut(page, noIndex(), found);
  return visited(page, { ...copy, canonicalUrl: canonical ?? copy.url }, found);
}

/** A sitemap without entries that can be read is no reason to forget what the one before had listed. */
async function sitemapVisit(page: SourcePage, copy: PageCopy, options: VisitOptions): Promise<Visit> {
  const { sitemaps, pages } = await options.reader.sitemap(
    await options.blobs.localPath(copy.blobHash, options.signal),
    options.signal,
  );
  const found = [
    ...sitemaps.map(({ url, lastmod }): FoundAddress => ({ address: url, kind: 'sitemap', lastmod })),
    ...pages.map(({ url, lastmod }): FoundAddress => ({ address: url, kind: 'page', lastmod })),
  ];
  return visited(page, copy, found);
}

/**
 * Only an address of the same origin, and not the start page for a page below it: many sites name that by mistake, and
 * all of their pages would become one.
 */
function canonicalOf(canonical: string | null, address: string): string | null {
  const url = canonical === null ? null : parseAddress(canonical);
  const own = new URL(address);
  if (url === null || url.origin !== own.origin || (url.pathname === '/' && own.pathname !== '/')) return null;
  return url.href;
}

async function failed(page: SourcePage, error: AppError, options: VisitOptions): Promise<Visit> {
  const lastError = { code: error.code, message: error.message };
  if (FINAL.has(error.code)) return leftOut(page, lastError, []);
  const { retryable } = error;
  const failure = { page, state: 'failed', lastError, retryable, copy: page.copy, found: [] } as const;
  if (page.copy === null || (page.kind === 'page' && !options.followsLinks)) return failure;
  // The last good copy counts, also for where it leads.
  const { found } = await usable(page, page.copy, options).catch((cause: unknown) => {
    if (cause instanceof AppError && !options.signal.aborted) return failure;
    throw cause;
  });
  return { ...failure, found };
}

function redirected(page: SourcePage, target: string): Visit {
  const lastError = { code: 'page_not_found', message: `The page has moved to ${target}.` };
  return leftOut(page, lastError, [{ address: target, kind: 'page', lastmod: page.lastmod }]);
}

function leftOut(page: SourcePage, lastError: Failure, found: readonly FoundAddress[]): Visit {
  return { page, state: 'left-out', lastError, retryable: false, copy: null, found };
}

function visited(page: SourcePage, copy: PageCopy, found: readonly FoundAddress[]): Visit {
  return { page, state: 'usable', lastError: null, retryable: false, copy, found };
}

function noIndex(): Failure {
  return { code: 'robots_disallowed', message: 'The page asks not to be indexed (noindex).' };
}
