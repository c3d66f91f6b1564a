import { createHash } from 'node:crypto';
import type { StoredContent } from '../pipeline/source-inputs.ts';
import type { SourceContent, WebContent } from '../ports.ts';
import type { WebClient } from './web-client.ts';

const DEFAULT_PAGES = 100;

export function isWebContent(content: SourceContent): content is WebContent {
  return content.type === 'url' || content.type === 'sitemap' || content.type === 'crawl';
}

/**
 * What a web source is before anything is fetched for it. Its content hash is over what is to be fetched, not when.
 *
 * @throws AppError `url_invalid` or `url_not_allowed`.
 */
export function webContent(
  content: WebContent,
  { client, now }: { readonly client: Pick<WebClient, 'check'>; readonly now: number },
): StoredContent {
  const url = client.check(content.url);
  url.hash = '';
  const { type, include = [], exclude = [], syncIntervalMs = null } = content;
  const maxPages = type === 'url' ? 1 : (content.maxPages ?? DEFAULT_PAGES);
  const settings = { include, exclude, maxPages };
  const contentHash = createHash('sha256')
    .update(JSON.stringify([type, url.href, settings]))
    .digest('hex');
  const nextSyncAt = syncIntervalMs === null ? null : now + syncIntervalMs;
  const web = { ...settings, syncIntervalMs, lastSyncedAt: null, nextSyncAt };
  return { type, title: url.href, inputs: [], contentHash, url: url.href, web };
}
