import type { Failure } from './entities.ts';

/** A page that a web source has met, or a sitemap that lists pages. */
export interface SourcePage {
  /** Unique in its source: the address, normalised. */
  readonly url: string;
  /** The address as it was found. */
  readonly address: string;
  readonly kind: 'page' | 'sitemap';
  /** The job that met it last. */
  readonly run: string;
  /** Links from the start. */
  readonly depth: number;
  /** When the site says that it changed last, in its words. */
  readonly lastmod: string | null;
  /** `usable`: fetched, or unchanged. `failed`: not fetched; the copy, if any, counts. `left-out`: not to be indexed. */
  readonly state: 'pending' | 'usable' | 'failed' | 'left-out';
  readonly lastError: Failure | null;
  readonly copy: PageCopy | null;
}

/** The last good answer. Its bytes are in the blob store. */
export interface PageCopy {
  /** The address that answered, after redirects. */
  readonly url: string;
  /** What the page calls itself, within the site; else `url`. */
  readonly canonicalUrl: string;
  readonly etag: string | null;
  readonly lastModified: string | null;
  readonly lastmod: string | null;
  readonly mediaType: string;
  readonly blobHash: string;
  readonly bytes: number;
  /** The `X-Robots-Tag` header. */
  readonly robotsTag: string | null;
  readonly fetchedAt: number;
}

/** What the web sources of a tenant have met. A run is the id of the job that fetches. */
export interface SourcePageRepository {
  /** Takes pages into the run: those that it has not met become `pending`, and keep their copy. Returns how many. */
  meet(
    sourceId: string,
    run: string,
    pages: readonly Pick<SourcePage, 'url' | 'address' | 'kind' | 'depth' | 'lastmod'>[],
  ): Promise<number>;
  get(sourceId: string, url: string): Promise<SourcePage | null>;
  /** Pending pages of the run: sitemaps first, then those nearest to the start. */
  nextPending(sourceId: string, run: string, limit: number): Promise<readonly SourcePage[]>;
  /** Records what became of a page. */
  settle(
    sourceId: string,
    url: string,
    outcome: Pick<SourcePage, 'state' | 'lastError'> & { readonly copy?: SourcePage['copy'] },
  ): Promise<void>;
  /** Pages of the run by state; sitemaps are not counted, but for `pending`. */
  countOf(sourceId: string, run: string): Promise<Readonly<Record<SourcePage['state'], number>>>;
  /** All pages of the run, those nearest to the start first. */
  list(sourceId: string, run: string): Promise<readonly SourcePage[]>;
  /** Makes the failed pages of the run pending again. */
  retryFailed(sourceId: string, run: string): Promise<void>;
  /** Forgets the pages that this run has not met. */
  forgetOthers(sourceId: string, run: string): Promise<void>;
}
