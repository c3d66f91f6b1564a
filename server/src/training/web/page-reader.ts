import { AppError } from '../../kernel/index.ts';
import { createWorkerPool, type WorkerPool, workerModule } from '../../resilience/index.ts';
import type { PageScan } from './page-scan.ts';
import type { SitemapScan } from './sitemap-scan.ts';

export type PageReaderRequest =
  | { readonly type: 'page'; readonly path: string; readonly url: string; readonly mediaType: string }
  | { readonly type: 'sitemap'; readonly path: string };

/** Reads stored pages and sitemaps in a process of its own, within time and memory. Rejects with an AppError when one cannot be read. */
export interface PageReader {
  page(page: Omit<Extract<PageReaderRequest, { type: 'page' }>, 'type'>, signal: AbortSignal): Promise<PageScan>;
  sitemap(path: string, signal: AbortSignal): Promise<SitemapScan>;
  stop(): Promise<void>;
}

const TIMEOUT_MS = 15_000;
const HEAP_MB = 256;
const IDLE_MS = 3_000;

export function createPageReader(): PageReader {
  const pool: WorkerPool<PageReaderRequest, PageScan | SitemapScan> = createWorkerPool({
    module: workerModule(import.meta.url, './page-worker'),
    size: 1,
    isolation: 'process',
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
    callTimeoutMs: TIMEOUT_MS,
    idleTimeoutMs: IDLE_MS,
    onCrash: (cause) =>
      new AppError('parse_out_of_memory', 'Reading the page needs more memory than it may use.', { cause }),
  });
  async function call<Scan extends PageScan | SitemapScan>(
    request: PageReaderRequest,
    signal: AbortSignal,
  ): Promise<Scan> {
    try {
      return (await pool.call(request, signal)) as Scan;
    } catch (error) {
      if (signal.aborted || !(error instanceof AppError) || error.code !== 'timeout') throw error;
      throw new AppError('parse_timeout', `The page could not be read within ${TIMEOUT_MS / 1_000} s.`, {
        cause: error,
      });
    }
  }
  return {
    page: (page, signal) => call<PageScan>({ type: 'page', ...page }, signal),
    sitemap: (path, signal) => call<SitemapScan>({ type: 'sitemap', path }, signal),
    stop: () => pool.stop(),
  };
}
